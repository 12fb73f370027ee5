"""Augmentations: what is known of a pair, put beside it as columns. The contract is base.py."""
