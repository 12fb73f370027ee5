"""Strategies that choose which labelled comparisons become pairs. The contract is base.py."""
