"""Augmentations, which add columns to pairs. base.py is the contract."""
