"""Engines: what runs a model. The contract is base; registry.py finds the engines there are."""
