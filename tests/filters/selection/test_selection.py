"""Selections: what each keeps, against plain ones; budget, figures and dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from filters.bucket import Decided, build, figures, pairs, run_filter, texts
from filters.embeddings import Table, some_vectors, spread

from prefdata.filters.registry import FILTERS
from prefdata.filters.selection import facility_location, k_center
from prefdata.filters.selection.base import Selection
from prefdata.filters.selection.facility_location import rank_by_gain, split_neighbourhoods
from prefdata.filters.selection.k_center import take_farthest
from prefdata.filters.selection.quality_diversity import number_cells, project
from prefdata.filters.vectors.embeddings import normalize
from prefdata.inference import Inference

KINDS = [k for k, part in FILTERS.parts.items() if issubclass(part, Selection)]


def decided(
    kind: str,
    cuts: list[int],
    seed: int = 0,
    **config: Any,
) -> Decided:
    vectors = some_vectors(60)
    margins = [float(m) for m in np.random.default_rng(1).permutation(60)]
    buckets, table = spread(vectors, margins, cuts)
    inference = Inference({"embedder": table}, None)
    return run_filter(build(kind, **{"budget": 20, **config}), buckets, inference, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_the_budget_stays_and_the_rest_names_its_nearest(kind: str) -> None:
    found = decided(kind, [10, 30])
    kept = found.pairs.filter(pl.col("reason").is_null())
    gone = found.pairs.filter(pl.col("reason").is_not_null())
    assert (kept.height, gone.height) == (20, 40)
    assert set(gone["reason"]) == {"over_budget"}
    vectors = some_vectors(60)
    rows = [int(p, 16) for p in kept["prompt_id"]]
    for prompt, detail in gone.select("prompt_id", "detail").iter_rows():
        likeness = vectors[rows] @ vectors[int(prompt, 16)]
        start, nearest, distance = detail.replace(
            "; ", ", which stays, is at cosine distance "
        ).split(", which stays, is at cosine distance ")
        assert start == f"not among the 20 of {kind}"
        assert rows[int(likeness.argmax())] == int(nearest, 16)
        assert float(distance) == pytest.approx(1 - likeness.max(), abs=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_buckets_nor_the_order_of_arrival_change_what_stays(kind: str) -> None:
    one = decided(kind, [])
    for cuts, seed in (([20], 1), ([1, 2, 3, 40], 2)):
        cut = decided(kind, cuts, seed)
        assert cut.pairs["reason"].equals(one.pairs["reason"])
        assert cut.pairs["detail"].equals(one.pairs["detail"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_budget_for_all_keeps_all(kind: str) -> None:
    found = decided(kind, [7], budget=60)
    assert found.pairs["reason"].null_count() == 60


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_say_before_after_and_random(kind: str) -> None:
    found = decided(kind, [7])
    said = figures(build(kind, budget=20), found)
    assert sorted(said) == sorted(
        f"{name}_{when}"
        for name in ("vendi", "neighbour_distance", "coverage")
        for when in ("before", "after", "random")
    )
    assert said["coverage_before"] == 1
    if kind == "k_center":
        assert said["vendi_after"] > said["vendi_random"]
        assert said["neighbour_distance_after"] > said["neighbour_distance_random"]


def test_pairs_can_be_selected_instead_of_prompts() -> None:
    some = pairs(("a", "b", "p"), ("b", "c", "p"), ("c", "a", "p"))
    table = Table({"Why?\none": [1, 0], "Why?\ntwo": [1, 0.1], "Why?\nthree": [0, 1]})
    inference = Inference({"embedder": table}, None)
    responses = texts({"a": "one", "b": "two", "c": "three"})
    step = build("k_center", budget=2, over="pairs", best_by="soft_label")
    reasons = run_filter(step, [(some, responses)], inference).reasons()
    assert reasons.pop("p:c>a") is None
    assert sorted(reasons.values(), key=str) == [None, "over_budget"]


def plain_farthest_first(vectors: np.ndarray, first: int, count: int) -> list[int]:
    taken = [first]
    while len(taken) < count:
        distance = (1 - vectors @ vectors[taken].T).min(axis=1)
        distance[taken] = -np.inf
        taken.append(int(distance.argmax()))
    return taken


@pytest.mark.parametrize("front", [2, 7, 30, 1000])
def test_the_lazy_traversal_is_the_plain_one(monkeypatch: pytest.MonkeyPatch, front: int) -> None:
    monkeypatch.setattr(k_center, "_FRONT", front)
    for seed in range(4):
        vectors = some_vectors(150, seed)
        assert take_farthest(vectors, 3, 60).tolist() == plain_farthest_first(vectors, 3, 60)


def test_the_traversal_of_copies_ends() -> None:
    found = take_farthest(np.ones((30, 2), dtype=np.float32) / 2**0.5, 4, 29)
    assert len(set(found.tolist())) == 29


def plain_greedy(vectors: np.ndarray) -> list[int]:
    likeness = np.maximum(vectors @ vectors.T, 0)
    covered, taken = np.zeros(len(vectors)), []
    while len(taken) < len(vectors):
        gains = np.maximum(likeness - covered, 0).sum(axis=1)
        gains[taken] = -1
        taken.append(int(gains.argmax()))
        covered = np.maximum(covered, likeness[taken[-1]])
    return taken


def test_the_lazy_greedy_is_the_plain_one() -> None:
    for seed in range(4):
        vectors = some_vectors(40, seed)
        found = list(rank_by_gain(vectors, np.arange(40), np.zeros(40)))
        assert [row for _, row in found] == plain_greedy(vectors)
        gains = [gain for gain, _ in found]
        assert gains == sorted(gains, reverse=True)


def test_facility_location_takes_the_middle_of_each_cluster() -> None:
    draw = np.random.default_rng(0)
    middles = np.eye(5)
    vectors = normalize(
        np.concatenate([middles, np.repeat(middles, 9, 0) + draw.normal(size=(45, 5)) * 0.03])
    )
    step = build("facility_location", budget=5)
    found = step.select(vectors, np.full(50, -np.inf), 5)
    nearest = (vectors[found] @ middles.T).argmax(axis=1)
    assert sorted(nearest.tolist()) == [0, 1, 2, 3, 4]
    assert (vectors[found] @ middles.T).max(axis=1).min() > 0.995


def test_neighbourhoods_hold_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facility_location, "LARGEST", 50)
    monkeypatch.setattr(facility_location, "_PER_CLUSTER", 20)
    vectors = np.concatenate([some_vectors(300), np.repeat(some_vectors(1), 120, 0)])
    found = list(split_neighbourhoods(vectors.astype(np.float32)))
    assert sorted(np.concatenate(found).tolist()) == list(range(420))
    assert max(map(len, found)) <= 50
    assert len(found) > 10


def test_an_archive_keeps_the_best_of_every_cell_first() -> None:
    vectors = some_vectors(200).astype(np.float32)
    quality = np.random.default_rng(2).permutation(200).astype(float)
    step = build("quality_diversity", budget=30, dimensions=2, bins=3)
    cell = number_cells(project(vectors, "random", 2), 3)
    best = {c: int(np.flatnonzero(cell == c)[quality[cell == c].argmax()]) for c in set(cell)}
    kept = step.select(vectors, quality, 30)
    assert len(set(kept.tolist())) == 30
    assert 4 < len(best) <= 9
    assert set(best.values()) <= set(kept.tolist())
    # No cell is two ahead of another one that has more to give.
    count = np.array([np.sum(cell[kept] == c) for c in best])
    size = np.array([np.sum(cell == c) for c in best])
    assert count.max() - count[count < size].min(initial=99) <= 1


def test_principal_axes_are_those_of_the_largest_variance() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(500, 4)) * [1, 5, 0.1, 3]
    found = project(vectors, "principal", 2)
    assert np.abs(np.corrcoef(found[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(found[:, 1], vectors[:, 3])[0, 1]) > 0.99
    assert project(vectors, "random", 3).shape == (500, 3)
