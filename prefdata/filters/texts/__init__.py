"""Filters that examine one text at a time."""
