"""Engines: what runs a model. base/ has the contract, and registry.py finds the engines."""
