"""When a probability prefers neither response."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import polars as pl

Probability = TypeVar("Probability", pl.Expr, np.ndarray)

TOLERANCE = 1e-9
"""A P(a ≻ b) closer than this to 0.5 is a tie. The order of the two ids can change the last bits
of a probability, and must not change a label."""


def is_tie(p: pl.Expr) -> pl.Expr:
    """Whether P(a ≻ b) prefers neither."""
    return (p - 0.5).abs() <= TOLERANCE


def prefers_a(p: Probability) -> Probability:
    """Whether P(a ≻ b) prefers a by more than a tie."""
    return p > 0.5 + TOLERANCE


def prefers_b(p: Probability) -> Probability:
    """Whether P(a ≻ b) prefers b by more than a tie."""
    return p < 0.5 - TOLERANCE


def compute_verdict(p: pl.Expr) -> pl.Expr:
    """1 where P(a ≻ b) prefers a, -1 where it prefers b, 0 at a tie; null stays null."""
    return pl.when(is_tie(p)).then(0).otherwise((p - 0.5).sign()).cast(pl.Int8)
