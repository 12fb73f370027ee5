"""Strategies that choose which agreed comparisons become pairs. The contract is base.py."""
