"""Augmenting: what is known of a pair, put beside it as columns."""
