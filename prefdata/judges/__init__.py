"""Judges: each says which of two answers is better. The contract is base.py."""
