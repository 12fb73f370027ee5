"""Filters that look at both sides of a pair."""
