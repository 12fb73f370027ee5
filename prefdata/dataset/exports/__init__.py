"""Exports: one file per consumer of preference data. base.py is the contract."""
