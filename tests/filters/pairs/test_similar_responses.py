"""Similar responses: the cosine similarity, its limit, and failed calls."""

from __future__ import annotations

import polars as pl
import pytest
from filters.bucket import build, pairs, texts
from filters.embeddings import Table

from prefdata.engines.base import Requirement
from prefdata.inference import Inference

RESPONSES = {"a": "east", "b": "north east", "c": "north", "x": "broken"}
TABLE = Table({"east": [1, 0], "north east": [3, 3], "north": [0, 2]})


def measured(**config: float) -> pl.DataFrame:
    step = build("similar_responses", **config)
    some = pairs(("a", "b", "p"), ("a", "c", "p"), ("c", "b", "p"), ("a", "x", "p"))
    inference = Inference({"embedder": TABLE}, None)
    found = step.measure(some, texts(RESPONSES), inference)
    assert found["pair_id"].equals(some["pair_id"])
    assert step.requirements() == [Requirement.of("embedder", "embed")]
    return step.decide(found)


def test_the_similarity_is_the_cosine() -> None:
    found = measured()
    assert found["cosine_similarity"].to_list()[:3] == pytest.approx(
        [0.5**0.5, 0, 0.5**0.5], abs=1e-3
    )
    assert found["fault"].to_list() == [None, None, None, "no vector"]
    assert found["cosine_similarity"][3] is None
    assert found["reason"].null_count() == 4


def test_pairs_above_the_limit_go() -> None:
    found = measured(max_similarity=0.7)
    assert found["reason"].to_list()[:3] == ["similar_responses", None, "similar_responses"]
    assert found["detail"][0] == "cosine similarity 0.7071, max_similarity 0.7"
