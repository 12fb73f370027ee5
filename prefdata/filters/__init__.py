"""Filters: each keeps a pair, or drops it with a reason and the figure. base.py is the contract."""
