"""Judges: each says which of two responses is better. The contract is base.py."""
