"""Filters that keep one of several duplicates."""
