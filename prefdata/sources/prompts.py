"""From raw rows to prompts and dropped, as frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, islice
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from prefdata.config.params import IngestParams
from prefdata.errors import DropRecord
from prefdata.hashing.ids import fraction, prompt_id
from prefdata.records.base import arrow_schema, polars_schema
from prefdata.records.dropped import Dropped
from prefdata.records.prompt import Prompt
from prefdata.sources.config import SourceParams
from prefdata.sources.files import format_of, read_rows
from prefdata.sources.hh import to_messages
from prefdata.sources.labels import Labelled, labelled
from prefdata.sources.prompt_rows import Turn, conversation, ground_truth

CHUNK_ROWS = 20_000
RECORD_CHARS = 2_000
"""A rejected raw row, and what is said of it, is kept up to this length: a broken line can be as
long as its file."""


def read_prompts(
    source: SourceParams, position: int, params: IngestParams
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """(prompts with `order`, dropped) a chunk of rows; `position` is the source's place."""
    transcripts = format_of(source) == "hh"
    rows = read_rows(source)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        conversations: list[list[Turn]] = []
        numbers: list[int] = []
        sources: list[str] = []
        ground_truths: list[str | None] = []
        said: list[Labelled | None] = []
        dropped: list[dict[str, Any]] = []
        for number, raw, value in chunk:
            try:
                if isinstance(value, DropRecord):
                    raise value
                row = to_messages(value) if transcripts else value
                turns = conversation(row, source, params.max_prompt_chars)
                found = ground_truth(
                    value.get(source.ground_truth_field), source.ground_truth_field
                )
                label = None if source.annotations is None else labelled(value, turns, source.annotations)
            except DropRecord as reject:
                dropped.append(_rejection(reject, f"{source.path}:{number}", raw))
                continue
            named = value.get("source")
            conversations.append(turns)
            ground_truths.append(found)
            said.append(label)
            numbers.append(number)
            sources.append(named if isinstance(named, str) else source.path)
        yield (
            _prompts(
                conversations,
                numbers,
                sources,
                ground_truths,
                said,
                source.path,
                position,
                params.test_fraction,
            ),
            pl.DataFrame(dropped, schema=polars_schema(Dropped)),
        )


def _prompts(
    conversations: list[list[Turn]],
    numbers: list[int],
    sources: list[str],
    ground_truths: list[str | None],
    said: list[Labelled | None],
    path: str,
    position: int,
    test_fraction: float,
) -> pl.DataFrame:
    """`Prompt` rows with `order`, built column by column: a dict a row costs four times as much."""
    ids = [prompt_id(turns) for turns in conversations]
    turns = list(chain.from_iterable(conversations))
    ends = list(accumulate(map(len, conversations), initial=0))
    messages = pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()),
        pa.StructArray.from_arrays(
            [pa.array([turn[part] for turn in turns], pa.string()) for part in (0, 1)],
            names=["role", "content"],
        ),
    )

    def nested(column: str, values: list[Any]) -> pl.Series:
        # By Arrow: polars would make a series a row.
        return pl.Series(pa.array(values, arrow_schema(Prompt).field(column).type))

    is_test = pl.Series([fraction(i) for i in ids], dtype=pl.Float64) < test_fraction
    schema = pl.Schema({**polars_schema(Prompt), "order": pl.Int64()})
    return (
        pl.DataFrame(
            {
                "prompt_id": ids,
                "messages": pl.Series(messages),
                "source": sources,
                "number": numbers,
                "ground_truth": ground_truths,
                "responses": nested("responses", [one and one.responses for one in said]),
                "annotations": nested("annotations", [one and [one.label] for one in said]),
            },
            schema_overrides={
                **dict.fromkeys(("prompt_id", "source", "ground_truth"), pl.String),
                "number": pl.Int64,
            },
        )
        .select(
            "prompt_id",
            "messages",
            split=pl.when(is_test).then(pl.lit("test")).otherwise(pl.lit("train")),
            source="source",
            origin=pl.format("{}:{}", pl.lit(path), "number"),
            ground_truth="ground_truth",
            responses="responses",
            annotations="annotations",
            order=(position << 40) + pl.col("number"),
        )
        .cast(schema)
    )


def drop_duplicates(prompts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(first occurrences, dropped of the others) of prompts with `order`."""
    ordered = prompts.sort("order")
    kept = ordered.unique("prompt_id", keep="first", maintain_order=True)
    again = ordered.join(kept.select("order"), on="order", how="anti").join(
        kept.select("prompt_id", first="origin"), on="prompt_id", how="left"
    )
    rejected = again.select(
        stage=pl.lit("ingest"),
        reason=pl.lit("duplicate"),
        detail=pl.format("the same prompt stands at {}", "first"),
        fault=pl.lit(False),
        origin="prompt_id",
        record=pl.struct("messages", "source", "origin").struct.json_encode(),
    )
    return kept.drop("order"), rejected


def _rejection(reject: DropRecord, origin: str, raw: bytes | str) -> dict[str, Any]:
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return {
        "stage": "ingest",
        "reason": reject.reason,
        "detail": f"{_short(reject.problem)} {reject.remedy}".rstrip(),
        "fault": True,
        "origin": origin,
        "record": orjson.dumps(_short(text)).decode(),
    }


def _short(text: str) -> str:
    if len(text) <= RECORD_CHARS:
        return text
    return f"{text[:RECORD_CHARS]}… ({len(text)} characters)"
