"""Strategies, which choose the labelled comparisons that become pairs. base.py is the contract."""
