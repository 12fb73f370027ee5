"""Exports: one consumer of preference data a file. The contract is base.py."""
