"""The map of prompts: a projection on two dimensions."""

from __future__ import annotations

import numpy as np
import polars as pl

from prefdata.hashing.digests import digest_text
from prefdata.reports.base import Grid
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.figures.prompts import draw_map
from prefdata.reports.page.content import Chart, Section
from prefdata.statistics.vendi import vendi_score
from prefdata.text.words import split_words

MAX_PROMPTS = 1_500
"""The most prompts on the map: the first by id, which are a random sample."""
_WIDTH = 512
"""The numbers of a vector of hashed words."""


def show_map(prompts: pl.DataFrame, vectors: np.ndarray | None, model: str | None) -> Section:
    """The section.

    Args:
        prompts: prompt_id, source and text; at most MAX_PROMPTS rows.
        vectors: (prompts, d): their embeddings; None: there are none.
        model: The name of the model that made them.
    """
    title = "Diversity"
    if prompts.height < 3:
        return Section("diversity", title, "Nothing to show: there are fewer than three prompts.")
    by = f"embeddings of {model}" if vectors is not None else "hashed words"
    matrix = hash_words(prompts["text"]) if vectors is None else _scale(vectors)
    x, y = project(matrix).T
    points = pl.DataFrame({"x": x, "y": y, "group": prompts["source"]})
    sizes = prompts["source"].value_counts().sort(["count", "source"], descending=[True, False])
    chart = Chart(
        "The prompts on a map",
        write_svg(draw_map(points), "map"),
        f"Prompts that resemble each other lie near each other: the first two principal components "
        f"of {by}, of {prompts.height:,} prompts. Vendi score, the effective number of different "
        f"prompts: {vendi_score(matrix):,.1f}.",
        Grid(("source", "prompts"), [(s, f"{n:,}") for s, n in sizes.iter_rows()], [1]),
    )
    return Section("diversity", title, "What the dataset asks about, and how evenly.", [chart])


def hash_words(texts: pl.Series) -> np.ndarray:
    """(texts, _WIDTH) float64: the words of each text, hashed, weighted by how few texts have them,
    and scaled to unit length."""
    words = pl.DataFrame({"text": range(len(texts)), "word": split_words(texts)})
    listed = words.explode("word").drop_nulls()
    counted = listed.group_by("text", "word").len()
    spread = counted.group_by("word").agg(texts=pl.len())
    weighed = counted.join(spread, on="word").sort("text", "word")
    places = weighed.select(digest_text(pl.col("word")) % _WIDTH).to_series()
    weights = (1 + weighed["len"].log()) * (len(texts) / weighed["texts"]).log()
    matrix = np.zeros((len(texts), _WIDTH))
    np.add.at(matrix, (weighed["text"].to_numpy(), places.to_numpy()), weights.to_numpy())
    return _scale(matrix)


def project(matrix: np.ndarray) -> np.ndarray:
    """(n, d) -> (n, 2): the first two principal components, rounded, and with signs that depend on
    the rows alone."""
    centred = matrix - matrix.mean(axis=0)
    if len(centred) <= centred.shape[1]:
        values, left = np.linalg.eigh(centred @ centred.T)
        points = left[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    else:
        points = centred @ np.linalg.eigh(centred.T @ centred)[1][:, :-3:-1]
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    largest = points[np.abs(points).argmax(axis=0), [0, 1]]
    return np.round(points * np.where(largest < 0, -1, 1), 4)


def _scale(matrix: np.ndarray) -> np.ndarray:
    """The rows at unit length; one of zeros stays."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(lengths > 0, lengths, 1)
