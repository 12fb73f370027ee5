"""Odds, logistic regression, the bootstrap and the Vendi score: one definition each."""
