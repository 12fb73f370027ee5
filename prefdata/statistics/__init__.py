"""Odds, logistic regression and other statistics."""
