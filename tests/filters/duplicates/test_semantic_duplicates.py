"""Semantic duplicates: groups by embeddings, with and without clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from filters.bucket import Decided, build, run_filter
from filters.embeddings import some_vectors, spread

from prefdata.filters.duplicates import semantic_duplicates
from prefdata.filters.duplicates.components import find_components
from prefdata.filters.duplicates.semantic_duplicates import link_similar
from prefdata.filters.vectors.embeddings import pack_vectors, unpack_vectors
from prefdata.inference import Inference


def decided(
    vectors: np.ndarray,
    margins: list[float],
    cuts: list[int],
    seed: int = 0,
    **config: Any,
) -> Decided:
    buckets, table = spread(vectors, margins, cuts)
    inference = Inference({"embedder": table}, None)
    return run_filter(build("semantic_duplicates", **config), buckets, inference, seed)


def brute_force(vectors: np.ndarray, limit: float) -> np.ndarray:
    one, other = np.nonzero(np.triu(vectors @ vectors.T >= limit, 1))
    return find_components(one, other, len(vectors))


@pytest.mark.parametrize("limit", [0.9, 0.97])
def test_groups_equal_those_of_comparing_all_with_all(
    monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    vectors = some_vectors(120)
    margins = [1 - n / 1000 for n in range(120)]
    found = decided(vectors, margins, [20, 50, 51, 90], max_similarity=limit)
    firsts = brute_force(unpack_vectors(pack_vectors(vectors.astype(np.float32))), limit)
    gone = found.pairs.filter(pl.col("reason").is_not_null())
    assert set(gone["reason"]) == {"semantic_duplicate_prompt"}
    # The margins fall with the position: the first of each group is the one that stays.
    winners = dict(gone.select("prompt_id", pl.col("detail").str.extract(r"; (\w+) ")).iter_rows())
    wanted = {f"{n:032x}": f"{f:032x}" for n, f in enumerate(firsts.tolist()) if n != f}
    assert winners == wanted
    assert 20 < len(wanted) < 110


def test_clusters_find_nearly_all_of_that_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(semantic_duplicates, "ONE_CLUSTER", 10)
    vectors = some_vectors(1500, seed=1)
    margins = [1 - n / 10000 for n in range(1500)]
    found = decided(vectors, margins, [300, 900, 1000, 1200])
    firsts = brute_force(unpack_vectors(pack_vectors(vectors.astype(np.float32))), 0.95)
    due = {f"{n:032x}" for n, f in enumerate(firsts.tolist()) if n != f}
    gone = set(found.pairs.filter(pl.col("reason").is_not_null())["prompt_id"])
    assert gone <= due
    assert len(gone) > 0.97 * len(due) > 300
    assert found.summary is not None
    again = decided(vectors, margins, [100, 1100], seed=5)
    assert again.summary is not None
    assert again.summary.equals(found.summary)
    assert again.pairs["reason"].equals(found.pairs["reason"])


def test_the_dropped_record_names_the_nearest_and_the_one_that_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    angles = np.radians([0, 15, 30, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = decided(vectors, [0.1, 0.2, 0.3, 0.4], [2])
    details = found.pairs["detail"].to_list()
    says = (
        "cosine similarity 0.9659 to {:032x}, 0.95 counts as a duplicate; {:032x} stays by margin"
    )
    assert details[0] == says.format(1, 2) + " 0.3"
    assert details[1] is not None
    assert details[1].endswith(f"; {2:032x} stays by margin 0.3")
    assert details[2:] == [None, None]


def test_a_failed_call_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, table = spread(np.eye(3), [0.1, 0.2, 0.3], [])
    del table.vectors[f"text {1:032x}"]
    step = build("semantic_duplicates")
    found = step.measure(*buckets[0], Inference({"embedder": table}, None))
    assert found["fault"].to_list() == [None, "no vector", None]


@pytest.mark.parametrize("block", [3, 16, 2048])
def test_links_connect_what_is_similar_and_no_more(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(semantic_duplicates, "_BLOCK", block)
    vectors = some_vectors(80, seed=3).astype(np.float32)
    edges = link_similar(vectors, 0.9)
    one, other = edges["one"].to_numpy(), edges["other"].to_numpy()
    assert np.array_equal(find_components(one, other, 80), brute_force(vectors, 0.9))
    likeness = vectors @ vectors.T
    assert edges["similarity"].to_numpy() == pytest.approx(likeness[one, other], abs=1e-6)
    np.fill_diagonal(likeness, -1)
    nearest = {
        tuple(sorted((i, int(j))))
        for i, j in enumerate(likeness.argmax(1))
        if likeness[i, j] >= 0.9
    }
    assert nearest <= set(zip(one.tolist(), other.tolist(), strict=True))


def test_copies_give_no_square_of_links() -> None:
    edges = link_similar(np.ones((500, 4), dtype=np.float32) / 2, 0.95)
    assert edges.height <= 2 * 500
