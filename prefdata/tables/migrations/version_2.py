"""From schema version 2, whose messages were role and content and whose responses were text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from prefdata.comparisons.sides import join_forms
from prefdata.errors import TableError
from prefdata.records import (
    AugmentedPair,
    Demonstration,
    FilteredPair,
    Pair,
    Prompt,
    Record,
    Response,
)
from prefdata.records.message import STRUCTURE
from prefdata.tables.migrations.neighbours import Neighbours

_MESSAGES = tuple(f"messages.{name}" for name in STRUCTURE)
_PAIR = ("chosen_policy", "rejected_policy", "same_form")

LACKED: Mapping[type[Record], tuple[str, ...]] = {
    Prompt: ("tools", *_MESSAGES, "responses.thoughts", "responses.tool_calls"),
    Response: ("policy", "thoughts", "tool_calls", "raw_text", "n_thought_tokens"),
    Demonstration: _MESSAGES,
    Pair: _PAIR,
    AugmentedPair: _PAIR,
    FilteredPair: _PAIR,
}
"""The columns, and the fields of structs, that came with version 3."""


def name_policies(responses: pl.DataFrame, neighbours: Neighbours) -> pl.DataFrame:
    """`policy`: of an existing response its author or else the source, as `model` has it; of a
    sample the model's name in params.yaml, which the table's counts have kept.

    Version 2 had one policy. Where its counts name none, or several, it is the fingerprint.
    """
    calls = (call.partition(" ") for call in neighbours.read_info().asked)
    names = [name for operation, _, name in calls if operation == "generate"]
    sampled = pl.lit(names[0]) if len(names) == 1 else pl.col("model")
    is_sample = pl.col("sample_index").is_not_null()
    return responses.with_columns(policy=pl.when(is_sample).then(sampled).otherwise("model"))


def find_policies(pairs: pl.DataFrame, neighbours: Neighbours) -> pl.DataFrame:
    """The policies and the forms of both sides, from the responses of the same data folder.

    Raises:
        TableError: Those are not the responses that the pairs were made of.
    """
    responses = neighbours.read("responses", Response)
    joined = join_forms(pairs.drop(_PAIR), responses).select(pairs.columns)
    lost = joined.filter(pl.any_horizontal(pl.col(_PAIR).is_null()))
    if lost.height:
        raise TableError(
            f"{neighbours.folder}: of schema version 2, without the policies of its pairs, and "
            f"data/responses lacks the responses of {lost.height} of them, such as pair "
            f"{lost['pair_id'][0]}",
            "Run `prefdata pair` and the stages after it again: no model is asked again.",
        )
    return joined


FILLS: Mapping[type[Record], Callable[[pl.DataFrame, Neighbours], pl.DataFrame]] = {
    Response: name_policies,
    Pair: find_policies,
    AugmentedPair: find_policies,
    FilteredPair: find_policies,
}
"""Fills the columns that may not be null; the others are null."""
