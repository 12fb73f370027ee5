"""Odds, logistic regression, calibration and the bootstrap: one definition each."""
