"""The scripted engine: a fake model, but one whose figures are such as a model has."""

from __future__ import annotations

import polars as pl
import pytest
from inference.counting import CountingEngine

from prefdata.engines.base import (
    OPERATIONS,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
    result_schema,
)

SETTINGS: dict[Operation, Settings] = {
    "generate": Sampling(),
    "choose": Options(options=("A", "B")),
    "loglikelihood": LoglikelihoodSettings(),
}
ROWS = pl.DataFrame(
    {
        "key": [bytes([i]) * 16 for i in range(64)],
        "messages": [[{"role": "user", "content": f"{i}?"}] for i in range(64)],
        "sample_index": [0] * 64,
        "completion": ["one two three"] * 64,
        "finished": [True] * 64,
        "text": [f"{i}" for i in range(64)],
    }
)


def run(operation: Operation, rows: pl.DataFrame = ROWS) -> pl.DataFrame:
    asked = rows.select("key", *OPERATIONS[operation].request)
    settings = SETTINGS.get(operation, Settings())
    return pl.concat(list(getattr(CountingEngine(), operation)(asked, settings)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_depends_on_the_key_alone(operation: Operation) -> None:
    found = run(operation)
    assert found.schema == result_schema(operation)
    assert found["key"].equals(ROWS["key"])
    assert run(operation, ROWS.reverse()).reverse().equals(found)
    assert found.drop("key", "error").n_unique() > 32


@pytest.mark.parametrize(
    ("operation", "column"), [("generate", "cumulative_logprob"), ("loglikelihood", "logprob")]
)
def test_log_probabilities_are_negative_and_of_the_size_of_an_answer(
    operation: Operation, column: str
) -> None:
    found = run(operation)[column]
    assert found.is_between(-100, 0).all()
    assert found.n_unique() > 32


def test_the_options_share_all_the_probability() -> None:
    totals = run("choose")["logprobs"].list.eval(pl.element().exp()).list.sum()
    assert totals.to_list() == pytest.approx([1.0] * 64)


def test_embeddings_are_of_unit_length() -> None:
    squares = run("embed")["embedding"].list.eval(pl.element() ** 2).list.sum()
    assert squares.to_list() == pytest.approx([1.0] * 64, abs=1e-5)
