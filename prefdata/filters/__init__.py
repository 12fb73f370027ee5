"""Filters: keep a pair, or reject it with a reason and the figure. The contract is base.py."""
