"""The story of a prompt: its responses, what was said of each comparison, and where each ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypeVar

import orjson
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.engines.base import request_key_seed
from prefdata.lineage.exported import ExportedRow
from prefdata.lineage.tables import Lineage
from prefdata.records import (
    AugmentedPair,
    Ches,
    Dropped,
    FilteredPair,
    Judgment,
    Label,
    Pair,
    Prompt,
    Record,
    Response,
)

RecordT = TypeVar("RecordT", bound=Record)
Sides: TypeAlias = frozenset[str]
"""The ids of a comparison's responses; empty: of no comparison."""
_NO_SIDES: Sides = frozenset()
_SIDES = (("response_a", "response_b"), ("chosen_id", "rejected_id"))
"""The columns that name the two responses of a comparison."""


class Told(BaseModel):
    """A part of a story."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToldResponse(Told):
    """A response, and the seed that it was sampled with."""

    response: Response
    seed: int | None = Field(
        description="63 bits of its request's key; null: it came with the prompt, or is a revision."
    )


class ToldPair(Told):
    """The pair that a comparison became, stage by stage."""

    pair: Pair
    augmented: AugmentedPair | None = Field(description="Null: it did not come through augment.")
    filtered: FilteredPair | None = Field(description="Null: it did not pass every filter.")
    rows: list[ExportedRow] = Field(description="The rows of the dataset that are made of it.")


class ToldComparison(Told):
    """A comparison of two responses: what was said of it, and what it became."""

    response_a: str
    response_b: str
    judgments: list[Judgment]
    label: Label | None = Field(description="Null: there is no consensus.")
    ches: list[Ches] = Field(description="CHES of the comparison as a pair, either way round.")
    pair: ToldPair | None = Field(description="Null: no pair was made of it.")
    dropped: list[Dropped] = Field(description="Where it fell out, in the order of the stages.")


class Story(Told):
    """All that a run has of a prompt."""

    prompt_id: str
    prompt: Prompt | None = Field(description="Null: it fell out before it became a prompt.")
    responses: list[ToldResponse]
    comparisons: list[ToldComparison] = Field(description="Sorted by their responses.")
    dropped: list[Dropped] = Field(
        description="What fell out besides comparisons: rows, responses, the prompt."
    )
    rows: list[ExportedRow] = Field(
        description="The rows of the dataset that are made of no one pair, such as a prompt's."
    )
    absent: list[str] = Field(description="The tables that there are not.")

    def find_pair(self, pair_id: str) -> ToldComparison | None:
        """The comparison that became this pair."""
        return next(
            (c for c in self.comparisons if c.pair and c.pair.pair.pair_id == pair_id), None
        )


def tell_story(lineage: Lineage, prompt_id: str) -> Story:
    """The story of one of the lineage's prompts."""
    own = lineage.narrow(prompt_id)
    pairs = {each.pair_id: each for each in _parse(own, "pairs", Pair)}
    sides = {name: _find_sides(pair) for name, pair in pairs.items()}
    augmented = {each.pair_id: each for each in _parse(own, "augmented", AugmentedPair)}
    filtered = {each.pair_id: each for each in _parse(own, "filtered", FilteredPair)}
    told = {
        sides[name]: ToldPair(
            pair=pair,
            augmented=augmented.get(name),
            filtered=filtered.get(name),
            rows=[row for row in own.exported if row.row.get("pair_id") == name],
        )
        for name, pair in pairs.items()
    }
    judgments = _group(_parse(own, "judgments", Judgment))
    labels = _group(_parse(own, "labels", Label))
    ches = _group(_parse(own, "ches", Ches))
    dropped: dict[Sides, list[Dropped]] = {}
    for each in _records(own.dropped, Dropped):
        dropped.setdefault(_find_dropped_sides(each, sides), []).append(each)
    responses = _parse(own, "responses", Response)
    compared = {*judgments, *labels, *told, *dropped} - {_NO_SIDES}
    return Story(
        prompt_id=prompt_id,
        prompt=next(iter(_parse(own, "prompts", Prompt)), None),
        responses=[ToldResponse(response=each, seed=_find_seed(each)) for each in responses],
        comparisons=[
            ToldComparison(
                response_a=min(key),
                response_b=max(key),
                judgments=judgments.get(key, []),
                label=next(iter(labels.get(key, [])), None),
                ches=ches.get(key, []),
                pair=told.get(key),
                dropped=dropped.get(key, []),
            )
            for key in sorted(compared, key=sorted)
        ],
        dropped=dropped.get(_NO_SIDES, []),
        rows=[row for row in own.exported if row.row.get("pair_id") not in pairs],
        absent=list(lineage.absent),
    )


def tell_fallen(dropped: list[Dropped]) -> Story:
    """The story of a source row that never became a prompt."""
    return Story(
        prompt_id="",
        prompt=None,
        responses=[],
        comparisons=[],
        dropped=dropped,
        rows=[],
        absent=[],
    )


def _parse(lineage: Lineage, table: str, record: type[RecordT]) -> list[RecordT]:
    return _records(lineage.tables[table], record) if table in lineage.tables else []


def _records(rows: pl.DataFrame, record: type[RecordT]) -> list[RecordT]:
    return [record.model_validate(row) for row in rows.iter_rows(named=True)]


def _group(records: Iterable[RecordT]) -> dict[Sides, list[RecordT]]:
    """The records by the comparison that they are of."""
    grouped: dict[Sides, list[RecordT]] = {}
    for each in records:
        grouped.setdefault(_find_sides(each), []).append(each)
    return grouped


def _find_sides(record: Record) -> Sides:
    """The comparison that a record is of."""
    return _read_sides(dict(record))


def _find_dropped_sides(dropped: Dropped, pairs: Mapping[str, Sides]) -> Sides:
    """The comparison that a dropped record is of."""
    try:
        row = orjson.loads(dropped.record)
    except orjson.JSONDecodeError:
        return _NO_SIDES
    if not isinstance(row, dict):
        return _NO_SIDES
    return _read_sides(row) or pairs.get(str(row.get("pair_id")), _NO_SIDES)


def _read_sides(row: Mapping[str, object]) -> Sides:
    for names in _SIDES:
        ids = [each for each in map(row.get, names) if isinstance(each, str)]
        if len(ids) == len(names):
            return frozenset(ids)
    return _NO_SIDES


def _find_seed(response: Response) -> int | None:
    if response.sample_index is None or response.revised_from is not None:
        return None
    return request_key_seed(bytes.fromhex(response.response_id))
