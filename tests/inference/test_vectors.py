"""Vectors whose length changes: the odd ones fail, and are asked again until they fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from inference.counting import CountingEngine

from prefdata.engines.base import Operation, Settings
from prefdata.errors import ModelError
from prefdata.hashing.ids import prompt_id
from prefdata.inference import Inference, Memo
from prefdata.inference.vectors import matrix


class Growing(CountingEngine):
    """Returns a longer vector to each text that is in `odd`."""

    def __init__(self, *odd: str) -> None:
        super().__init__(dimension=3)
        self.odd = odd

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        longer = rows["text"].is_in(self.odd)
        for frame in super().embed(rows, settings):
            vector = pl.col("embedding")
            more = pl.concat_list(vector, pl.lit(0.5, dtype=pl.Float32))
            yield frame.with_columns(embedding=pl.when(longer).then(more).otherwise(vector))


def ask(engine: CountingEngine, memo: Path, *texts: str) -> pl.DataFrame:
    rows = pl.DataFrame(
        {"prompt_id": [prompt_id([("user", text)]) for text in texts], "text": texts}
    )
    operation: Operation = "embed"
    return Inference({"m": engine}, Memo(str(memo))).ask("m", operation, Settings(), rows)


def test_an_odd_vector_fails_alone_and_is_not_remembered(tmp_path: Path) -> None:
    found = ask(Growing("b"), tmp_path, "a", "b", "c")
    assert found["error"].is_null().to_list() == [True, False, True]
    assert found["error"][1].startswith("bad_response: a vector of 4 numbers, most of this model's")
    assert found["embedding"][1] is None
    again = Growing()
    assert ask(again, tmp_path, "a", "b", "c")["error"].null_count() == 3
    assert len(again.asked) == 1


def test_a_memo_that_begins_with_odd_vectors_heals(tmp_path: Path) -> None:
    ask(Growing("a"), tmp_path, "a")
    found = ask(Growing(), tmp_path, "a", "b", "c")
    assert found["error"].is_null().to_list() == [False, True, True]
    healing = Growing()
    assert ask(healing, tmp_path, "a", "b", "c")["error"].null_count() == 3
    assert len(healing.asked) == 1
    asks_nothing = Growing()
    assert matrix(ask(asks_nothing, tmp_path, "a", "b", "c")["embedding"]).shape == (3, 3)
    assert asks_nothing.asked == []


def test_vectors_of_two_lengths_are_no_matrix() -> None:
    vectors = pl.Series([[1.0, 2.0], [3.0]])
    with pytest.raises(ModelError, match="1 and 2 numbers"):
        matrix(vectors)
