"""Filters: each keeps a pair or drops it with a reason and a figure. base.py is the contract."""
