"""Filters that keep a diverse selection of a given size."""
