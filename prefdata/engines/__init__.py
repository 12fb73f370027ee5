"""Engines: what runs a model. The contract is base.py; lookup.py names the engines there are."""
