"""Embeddings in the form that filters pass on: unit vectors in half precision, 2 bytes per number.

Rounding to half precision moves a cosine similarity by less than 0.001.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from prefdata.engines.base import Settings
from prefdata.inference.loop import Inference
from prefdata.inference.vectors import require_one_length

VECTOR = pl.List(pl.UInt16)
"""The bits of float16 numbers, as polars does not support float16 everywhere."""


def embed_texts(model: str, rows: pl.DataFrame, inference: Inference) -> pl.DataFrame:
    """Embed `rows` (id, text, prompt_id): id, `vector`, and `fault` where there is no vector."""
    asked = inference.ask(model, "embed", Settings(), rows.select("text", "prompt_id"))
    good = asked["error"].is_null()
    vectors = pack_vectors(_stack(asked.filter(good)["embedding"]))
    embedded = rows.filter(good).select("id", vector=vectors)
    faults = rows.select("id", fault=asked["error"])
    return faults.join(embedded, on="id", how="left", maintain_order="left")


def pack_vectors(vectors: np.ndarray) -> pl.Series:
    """(n, d) vectors as a column of VECTOR, scaled to unit length."""
    if not len(vectors):
        return pl.Series([], dtype=VECTOR)
    half = normalize(vectors).astype(np.float16).view(np.uint16)
    return pl.Series(np.ascontiguousarray(half)).cast(VECTOR)


def unpack_vectors(column: pl.Series) -> np.ndarray:
    """The column's vectors as (n, d) float32, scaled to unit length."""
    if not len(column):
        return np.zeros((0, 0), dtype=np.float32)
    require_one_length(column)
    half = column.explode(empty_as_null=True).to_numpy().view(np.float16)
    return normalize(half.reshape(len(column), -1).astype(np.float32))


def normalize(vectors: np.ndarray) -> np.ndarray:
    """The vectors scaled to unit length; a zero vector stays zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return vectors / np.where(lengths > 0, lengths, 1)


def _stack(vectors: pl.Series) -> np.ndarray:
    if not len(vectors):
        return np.zeros((0, 0), dtype=np.float32)
    flat = vectors.explode(empty_as_null=True).to_numpy()
    return flat.astype(np.float32).reshape(len(vectors), -1)
