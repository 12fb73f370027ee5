"""Consensus: many judgments of a comparison become one label, or none, with the reason."""
