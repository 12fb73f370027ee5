"""Which labels become demonstrations."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.consensus.demonstrations import list_demonstrations, rank_demonstrations
from prefdata.messages.columns import MESSAGES
from prefdata.records import Demonstration, Label
from prefdata.records.base import polars_schema

Labelled = tuple[int, float, float]
"""A prompt's number, P(its response "x" ≻ its response "y"), the agreement."""


def hexid(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def tables(labels: list[Labelled], salt: int = 0, **changes: Any) -> tuple[pl.DataFrame, ...]:
    """(labels, prompts, responses) under ids of this salt, in an order of this salt; every label
    has two responses of its own."""
    rows, prompts, responses = [], {}, []
    for number, (question, p, agreement) in enumerate(labels):
        prompt = hexid(salt, question)
        message = {"role": "user", "content": f"Why {question}?"}
        prompts[prompt] = {"prompt_id": prompt, "messages": [message], "split": "train"}
        ids = [hexid(salt, number, side) for side in "xy"]
        responses += [
            {"response_id": i, "text": f"{side}{number}"} for i, side in zip(ids, "xy", strict=True)
        ]
        a, b = sorted(ids)
        row = dict.fromkeys(Label.model_fields)
        row |= {"prompt_id": prompt, "response_a": a, "response_b": b}
        row |= {"preference": p if a == ids[0] else 1 - p, "agreement": agreement, **changes}
        rows.append(row)
    mixed = random.Random(salt)
    return (
        pl.DataFrame(mixed.sample(rows, len(rows)), schema=polars_schema(Label)),
        pl.DataFrame(
            mixed.sample(list(prompts.values()), len(prompts)),
            schema={"prompt_id": pl.String, "messages": MESSAGES, "split": pl.String},
        ),
        pl.DataFrame(
            mixed.sample(responses, len(responses)),
            schema={"response_id": pl.String, "text": pl.String},
        ),
    )


def list_shown(frame: pl.DataFrame) -> list[tuple[str, str, str]]:
    """(question, chosen, rejected) by rank."""
    assert frame.schema == polars_schema(Demonstration)
    assert frame["rank"].to_list() == list(range(frame.height))
    return [
        (row["messages"][0]["content"], row["chosen"], row["rejected"]) for row in frame.to_dicts()
    ]


def test_the_surest_of_what_all_agree_on_come_first_and_one_a_prompt() -> None:
    labels = [(0, 0.99, 0.75), (1, 0.2, 1.0), (1, 0.7, 1.0), (2, 0.9, 1.0), (3, 0.6, 1.0)]
    for salt in range(6):
        found = rank_demonstrations(list_demonstrations(*tables(labels, salt), max_chars=99), 4)
        assert list_shown(found) == [
            ("Why 2?", "x3", "y3"),
            ("Why 1?", "y1", "x1"),
            ("Why 3?", "x4", "y4"),
        ]
        assert found["soft_label"].to_list() == pytest.approx([0.9, 0.8, 0.6])


def test_neither_flagged_labels_nor_test_prompts_nor_long_texts_are_shown() -> None:
    labels, prompts, responses = tables([(0, 0.9, 1.0)])
    # "Why 0?", "x0" and "y0".
    assert list_demonstrations(labels, prompts, responses, 10).height == 1
    assert list_demonstrations(labels, prompts, responses, 9).height == 0
    flagged = labels.with_columns(flag=pl.lit("ambiguous"))
    assert list_demonstrations(flagged, prompts, responses, 10).height == 0
    tested = prompts.with_columns(split=pl.lit("test"))
    assert list_demonstrations(labels, tested, responses, 10).height == 0


labelled = st.lists(
    st.tuples(
        st.integers(0, 6),
        # Many are alike, so that the texts have to decide.
        st.sampled_from([0.1, 0.3, 0.7, 0.9, 0.9004]),
        st.sampled_from([0.5, 1.0]),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(labelled, st.integers(1, 5), st.integers(1, 50), st.integers(1, 4))
def test_neither_ids_nor_order_nor_buckets_change_what_is_shown(
    labels: list[Labelled], count: int, salt: int, buckets: int
) -> None:
    whole = rank_demonstrations(list_demonstrations(*tables(labels), max_chars=99), count)
    said, prompts, responses = tables(labels, salt)
    parts = []
    for bucket in range(buckets):
        own = prompts.filter(pl.col("prompt_id").hash(salt) % buckets == bucket)
        parts.append(rank_demonstrations(list_demonstrations(said, own, responses, 99), count))
    apart = rank_demonstrations(pl.concat(parts[::-1]), count)
    assert list_shown(apart) == list_shown(whole)
    agreed_on = {question for question, _, agreement in labels if agreement == 1}
    assert whole["prompt_id"].n_unique() == whole.height == min(count, len(agreed_on))
