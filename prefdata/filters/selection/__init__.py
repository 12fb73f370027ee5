"""Filters that keep a budget of diverse records."""
