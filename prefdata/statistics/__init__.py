"""Odds, logistic regression and the bootstrap: one definition each."""
