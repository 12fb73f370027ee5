"""Probabilities and their log-odds, as judges and consensuses reckon with them."""

from __future__ import annotations

import polars as pl

_SURE = 1e-6


def log_odds(p: pl.Expr) -> pl.Expr:
    """Log-odds of a probability; certainty counts as one in a million, not as infinite."""
    inside = p.clip(_SURE, 1 - _SURE)
    return (inside / (1 - inside)).log()


def sigmoid(odds: pl.Expr) -> pl.Expr:
    """The probability of the log-odds."""
    return 1 / (1 + (-odds).exp())
