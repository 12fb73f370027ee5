"""Comparisons: two responses to one prompt, and their sides."""
