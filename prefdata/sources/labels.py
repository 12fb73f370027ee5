"""Existing responses and what people said of them: a row's label, and a prompt's labels together.

One row is one annotator's word: a rating or a thumb of one response, or a ranking of several. All
rows of a prompt become one prompt with its distinct responses and with every row's label, each
annotator's apart from the others'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefdata.errors import DropRecord
from prefdata.hashing.ids import digest, prompt_id
from prefdata.records.base import polars_schema
from prefdata.records.dropped import Dropped
from prefdata.sources.config import AnnotationsParams
from prefdata.sources.prompt_rows import Turn

_THUMBS = {"up": 1.0, "down": 0.0, 1: 1.0, 0: 0.0}
"""What a thumb may be; True is 1 and False is 0 to a dictionary."""


@dataclass(frozen=True)
class Labelled:
    """A row's responses and its label, in the columns of `Response` and `Label`."""

    responses: list[dict[str, Any]]
    label: dict[str, Any]


def labelled(row: dict[str, Any], turns: list[Turn], params: AnnotationsParams) -> Labelled:
    """The responses and the label of a raw row. Raises DropRecord."""
    fields = params.columns()
    annotator = _name(row.get(fields["annotator"]), fields["annotator"])
    if annotator is None:
        raise DropRecord(
            "no_annotator",
            f"{fields['annotator']!r} is not here, null or empty",
            "Give every row its annotator's id; annotator_field of the source's labels names it.",
        )
    for name in ("response", "value"):
        if row.get(fields[name]) is None:
            raise DropRecord(
                "missing_field",
                f"{fields[name]!r} is not here, or null",
                f"Set {name}_field of the source's labels.",
            )
    value, field = row[fields["value"]], fields["value"]
    if params.kind == "ranking":
        texts = _texts(row[fields["response"]], fields["response"])
        values = _ranks(value, field, len(texts))
    else:
        texts = [_text(row[fields["response"]], fields["response"])]
        values = [_rating(value, field) if params.kind == "rating" else _thumb(value, field)]
    models = _models(row.get(fields["model"]), fields["model"], len(texts))
    prompt = prompt_id(turns).encode()
    ids = [digest([prompt, text.encode()]) for text in texts]
    order = sorted(range(len(texts)), key=lambda place: ids[place])
    return Labelled(
        [{"response_id": ids[n], "text": texts[n], "model": models[n]} for n in order],
        {
            "annotator": annotator,
            "group": _name(row.get(fields["group"]), fields["group"]),
            "kind": params.kind,
            "dimension": params.dimension,
            "responses": [ids[n] for n in order],
            "values": [values[n] for n in order],
        },
    )


def join_labels(prompts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """(rows, dropped, how many rows were joined to another) of prompts with `order`.

    A prompt's responses and labels all go to its first row. What one annotator says twice of the
    same responses counts once; of words that contradict each other none counts, for nothing tells
    which one was meant.
    """
    labelled = pl.col("annotations").is_not_null()
    told = prompts.filter(labelled)
    if not told.height:
        return prompts, pl.DataFrame(schema=polars_schema(Dropped)), 0
    good, refused = _agreed(told)
    rows = pl.concat([prompts.filter(~labelled), good]).sort("order")
    first = rows.unique("prompt_id", keep="first", maintain_order=True)
    # What is neither first nor labelled is left to drop_duplicates.
    rest = rows.filter(pl.col("annotations").is_null()).join(first, on="order", how="anti")
    of_first = first["annotations"].drop_nulls().len()
    first = first.drop("responses", "annotations").join(_gathered(good), on="prompt_id", how="left")
    joined = int(first["annotations"].list.len().sum()) - of_first
    return pl.concat([first.select(rows.columns), rest]), refused, joined


def _agreed(told: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows whose labels count, dropped of the others) of rows with one label each."""
    one = pl.col("annotations").list.first().struct
    responses = one.field("responses").list.join(" ").alias("_answers")
    said = one.field("values").list.eval(pl.element().cast(pl.String)).list.join(", ")
    whose = ["annotator", "group", "kind", "dimension"]
    keys = ["prompt_id", *(f"_{name}" for name in whose), "_answers"]
    rows = told.with_columns(
        responses, said.alias("_said"), *(one.field(name).alias(f"_{name}") for name in whose)
    ).sort("order")
    rows = rows.with_columns(
        _contradicting=pl.col("_said").n_unique().over(keys) > 1,
        _first=pl.col("origin").first().over(keys),
        _last=pl.col("origin").last().over(keys),
        _repeats=pl.struct(keys).is_first_distinct().not_(),
    )
    bad = pl.col("_contradicting") | pl.col("_repeats")
    other = pl.when(pl.col("origin") == pl.col("_first")).then("_last").otherwise("_first")
    contradicting = pl.format(
        "annotator {} says {} here and something else at {}; neither counts",
        "_annotator",
        "_said",
        other,
    )
    repeating = pl.format("annotator {} says the same of the same at {}", "_annotator", "_first")
    refused = rows.filter(bad).select(
        stage=pl.lit("ingest"),
        reason=pl.when("_contradicting")
        .then(pl.lit("contradicting_labels"))
        .otherwise(pl.lit("duplicate_label")),
        detail=pl.when("_contradicting").then(contradicting).otherwise(repeating),
        fault="_contradicting",
        origin="prompt_id",
        record=pl.struct(
            "messages", "source", "origin", "responses", "annotations"
        ).struct.json_encode(),
    )
    return rows.filter(~bad).select(told.columns), refused


def _gathered(rows: pl.DataFrame) -> pl.DataFrame:
    """prompt_id, responses, labels: one row a prompt, in an order that content alone decides."""
    responses = rows.select("prompt_id", "responses").explode("responses").unnest("responses")
    distinct = responses.group_by("prompt_id", "response_id").agg(
        pl.col("text").first(), pl.col("model").min()
    )
    fields = ("response_id", "text", "model")
    listed = (
        distinct.sort("prompt_id", "text", "response_id")
        .group_by("prompt_id", maintain_order=True)
        .agg(responses=pl.struct(fields))
    )
    label = pl.col("label").struct
    names = ("annotator", "group", "kind", "dimension")
    labels = (
        rows.select("prompt_id", label=pl.col("annotations").list.first())
        .sort(
            "prompt_id",
            *(label.field(name) for name in names),
            label.field("responses").list.join(" "),
        )
        .group_by("prompt_id", maintain_order=True)
        .agg(annotations="label")
    )
    return listed.join(labels, on="prompt_id")


def _name(value: Any, field: str) -> str | None:
    """An id as text; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DropRecord(
            "wrong_type", f"{field} is {type(value).__name__}, expected text or a whole number"
        )
    return _sound(str(value), field)


def _texts(value: Any, field: str) -> list[str]:
    if not isinstance(value, list):
        raise DropRecord("wrong_type", f"{field} is {type(value).__name__}, expected a list")
    texts = [_text(text, f"{field}, response {number}") for number, text in enumerate(value, 1)]
    if len(texts) < 2:
        raise DropRecord("too_few_responses", f"{field} holds {len(texts)}, expected 2 or more")
    if len(set(texts)) < len(texts):
        raise DropRecord("repeated_answer", f"{field} holds the same response twice")
    return texts


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise DropRecord("wrong_type", f"{field} is {type(value).__name__}, expected text")
    if not value.strip():
        raise DropRecord("empty_response", f"{field} holds no text")
    return _sound(value, field)


def _sound(text: str, field: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DropRecord(
            "invalid_unicode", f"{field} holds a lone surrogate at {error.start}"
        ) from error
    return text


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rating(value: Any, field: str) -> float:
    if not _number(value):
        raise DropRecord("wrong_rating", f"{field} is {_said(value)}, expected a number")
    return float(value)


def _thumb(value: Any, field: str) -> float:
    thumb = _THUMBS.get(value) if isinstance(value, str | int | float) else None
    if thumb is None:
        raise DropRecord(
            "unknown_thumb",
            f"{field} is {_said(value)}, expected up or down, true or false, 1 or 0",
        )
    return thumb


def _ranks(value: Any, field: str, responses: int) -> list[float]:
    """Ranks without gaps, from 1: what is compared is their order alone."""
    if not isinstance(value, list):
        raise DropRecord(
            "wrong_type", f"{field} is {type(value).__name__}, expected a list of ranks"
        )
    if len(value) != responses or any(rank is None for rank in value):
        ranked = sum(rank is not None for rank in value)
        raise DropRecord(
            "incomplete_ranking",
            f"{field} holds {ranked} ranks for {responses} responses",
            "Rank every response of the row, and leave out those that were not ranked.",
        )
    for rank in value:
        if not _number(rank):
            raise DropRecord("wrong_rank", f"{field} holds {_said(rank)}, expected numbers")
    place = {rank: float(number) for number, rank in enumerate(sorted(set(value)), 1)}
    return [place[rank] for rank in value]


def _models(value: Any, field: str, responses: int) -> list[str | None]:
    if not isinstance(value, list):
        return [_name(value, field)] * responses
    if len(value) != responses:
        raise DropRecord(
            "wrong_type", f"{field} names {len(value)} models for {responses} responses"
        )
    return [_name(one, field) for one in value]


def _said(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:80]!r}"
