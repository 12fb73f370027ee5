"""Engines: what runs a model. The contract is base.py; registry.py finds the engines there are."""
