"""The linear reward head: its weights, their features, and its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from prefdata.text.features import LENGTH, text_features

FILE = "head.json"
"""The head's file in its folder."""
_SURFACE_SCALE = 3.0
"""Surface features are scaled up by this, which eases their penalty: each competes with hundreds
of embedding entries."""

FeatureKind = Literal["response", "relevance", "surface"]


class RewardHead(BaseModel):
    """A head as it is saved.

    Args:
        embedder: The fingerprint of the model whose embeddings it was trained on.
        features: The kinds of its features, in order.
        control_length: Whether length was controlled for.
        weights: One per feature, (f,).
        spread: The typical difference of each surface feature between two responses.
        l2: The penalty that it was fitted with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: str
    features: list[FeatureKind] = ["response", "relevance"]
    control_length: bool = False
    weights: list[float]
    spread: list[float] = []
    l2: float
    pairs_train: int
    pairs_heldout: int
    accuracy_train: float
    accuracy_heldout: float
    accuracy_heldout_by_source: dict[str, float]
    longer_wins_heldout: float

    def compute_rewards(self, features: np.ndarray) -> np.ndarray:
        """Rewards (n,) of feature rows (n, f), in log-odds: sigmoid of a difference is P(a ≻ b)."""
        # Not `features @ weights`: in BLAS the sum of a row depends on the number of rows, and a
        # reward must not depend on the bucket of its response.
        return np.einsum("ij,j->i", features, np.asarray(self.weights))

    def count_dimensions(self) -> int:
        """The length of the embeddings that it takes; 0: of any."""
        kinds = [kind for kind in self.features if kind != "surface"]
        surface = len(self.spread) if "surface" in self.features else 0
        return (len(self.weights) - surface) // len(kinds) if kinds else 0

    def build_features(
        self, prompt: np.ndarray, response: np.ndarray, text: pl.Series
    ) -> np.ndarray:
        """The feature rows (n, f) of responses: unit embeddings (n, d) twice, and the texts."""
        surface = np.zeros((len(text), 0))
        if "surface" in self.features:
            surface = count_surface(text, self.control_length) / np.asarray(self.spread)
        return combine_features(self.features, prompt, response, surface)


def combine_features(
    kinds: Sequence[FeatureKind], prompt: np.ndarray, response: np.ndarray, surface: np.ndarray
) -> np.ndarray:
    """The features of the given kinds, concatenated.

    `response` is the response's embedding; `relevance` its elementwise product with the prompt's,
    in which a linear head can find relevance; `surface` the surface features of the text.

    Args:
        kinds: The kinds, in order.
        prompt: The prompts' unit embeddings, (n, d).
        response: The responses' unit embeddings, (n, d).
        surface: The surface features at their typical size, (n, s).

    Returns:
        (n, f), f being d for each of the first two kinds and s for the third.
    """
    # Entries of a unit vector are of size 1/sqrt(d): scaled to size 1, so that l2 means the
    # same for every embedder; the product once more.
    scale = np.sqrt(response.shape[1]) if response.size else 1.0
    parts = {
        "response": lambda: response * scale,
        "relevance": lambda: response * prompt * scale**2,
        "surface": lambda: surface * _SURFACE_SCALE,
    }
    return np.hstack([parts[kind]() for kind in kinds])


def count_surface(text: pl.Series, control_length: bool) -> np.ndarray:
    """The surface features of the texts, (n, s); without length where it is controlled for."""
    counted = text.to_frame("text").select(text_features(pl.col("text")))
    return counted.drop(LENGTH if control_length else []).to_numpy()
