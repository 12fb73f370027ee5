"""The report of `prefdata show`: a handful of pairs, or of dropped records, side by side."""

from __future__ import annotations

import os
from typing import Any

import orjson
import polars as pl
from pydantic import Field

from prefdata.dataset.find import find_version
from prefdata.dataset.manifest import read_manifest
from prefdata.errors import ConfigError
from prefdata.lineage.exported import read_exported
from prefdata.lineage.sample import (
    Wanted,
    draw_dropped,
    draw_pairs,
    find_pairs_export,
    has_dropped,
    list_reasons,
)
from prefdata.lineage.story import ToldComparison, tell_story
from prefdata.lineage.tables import read_lineage
from prefdata.records import Dropped
from prefdata.reports.base import Block, Figures, Report
from prefdata.reports.dataset.passages import Passage, Sides
from prefdata.text.similar_names import suggest_name
from prefdata.text.transcript import describe_response, transcript

_LONGEST = 1_200
"""The characters of a text that are shown, unless all are wanted."""


class ShownPair(Figures):
    """A pair, or a comparison that was dropped."""

    pair_id: str | None = Field(description="Null: it became no pair.")
    prompt_id: str
    source: str | None
    split: str | None
    prompt: str
    titles: tuple[str, str] = Field(description="Whose the two responses are.")
    texts: tuple[str, str]
    figures: dict[str, float] = Field(description="margin, soft_label, and P by each judge.")
    rationale: str | None = None
    dropped: str | None = Field(None, description="Stage, reason and detail; null: it was not.")


class ShownRecord(Figures):
    """A dropped record that is of no comparison."""

    origin: str
    source: str | None
    split: str | None
    dropped: str = Field(description="Stage, reason and detail.")
    record: str


class Shown(Report):
    """A handful of pairs, or of dropped records."""

    folder: str
    shown: list[ShownPair | ShownRecord]
    full: bool = Field(exclude=True)

    def blocks(self) -> list[Block]:
        """Each with its prompt, its two responses and what was said of them."""
        if not self.shown:
            return [f"{self.folder}: nothing fits these filters. Leave one out, or widen it."]
        blocks: list[Block] = []
        for number, each in enumerate(self.shown, 1):
            if isinstance(each, ShownRecord):
                title = ", ".join(filter(None, (f"{number}. {each.origin}", each.source)))
                blocks += [Passage(title, f"dropped by {each.dropped}\n{self._cut(each.record)}")]
            else:
                blocks += self._show_pair(number, each)
        return blocks

    def _show_pair(self, number: int, pair: ShownPair) -> list[Block]:
        what = f"pair {pair.pair_id}" if pair.pair_id else f"comparison, prompt {pair.prompt_id}"
        title = ", ".join(filter(None, (f"{number}. {what}", pair.split, pair.source)))
        said = [f"{name} {value:.3g}" for name, value in pair.figures.items()]
        lines = [", ".join(said)] if said else []
        lines += [f"dropped by {pair.dropped}"] if pair.dropped else []
        lines += [f"rationale: {self._cut(pair.rationale)}"] if pair.rationale else []
        one, other = map(self._cut, pair.texts)
        return [
            Passage(title, "\n".join(lines)),
            Passage("prompt", self._cut(pair.prompt)),
            Sides(pair.titles, (one, other)),
        ]

    def _cut(self, text: str) -> str:
        if self.full or len(text) <= _LONGEST:
            return text
        return f"{text[:_LONGEST].rstrip()} … ({len(text) - _LONGEST:,} more characters: --full)"


def report_pairs(given: str, wanted: Wanted, count: int, seed: int, *, full: bool) -> Shown:
    """Draw pairs of a version.

    Args:
        given: What names the version; see `find_version`.
        wanted: What is drawn from.
        count: How many.
        seed: Another one draws others.
        full: Whether long texts are shown whole.

    Raises:
        ConfigError: There is no such version, or it has no pairs; a reason is wanted.
        TableError: A file is damaged.
    """
    if wanted.reason:
        raise ConfigError(
            f"a pair of the dataset has no reason {wanted.reason!r}",
            "Add --dropped, or leave it out.",
        )
    folder = find_version(given).folder
    manifest = read_manifest(folder)
    judges = manifest.labels.judges
    if wanted.judge and judges and wanted.judge not in judges:
        hint = suggest_name(wanted.judge, judges)
        raise ConfigError(
            f"no judge of the version is called {wanted.judge!r}{hint}",
            f"Name one of {', '.join(judges)}.",
        )
    export = find_pairs_export(manifest)
    drawn = draw_pairs(folder, manifest, wanted, count, seed)
    rows = {
        row.row.get("pair_id"): row.row
        for row in read_exported(folder, drawn["prompt_id"].unique().sort())
        if row.export == export
    }
    shown = [_describe_pair(each, rows[each["pair_id"]]) for each in drawn.iter_rows(named=True)]
    return Shown(folder=folder, shown=shown, full=full)


def report_dropped(given: str, wanted: Wanted, count: int, seed: int, *, full: bool) -> Shown:
    """Draw dropped records of the run beside a dataset; the arguments are those of `report_pairs`.

    Raises:
        ConfigError: There are no dropped records beside the dataset; a margin is wanted.
        TableError: A table is damaged.
    """
    if wanted.min_margin is not None or wanted.max_margin is not None:
        raise ConfigError("dropped records have no margin", "Leave --min- and --max-margin out.")
    found = find_version(given)
    data = os.path.dirname((found.dataset or found.folder).rstrip("/")) or "."
    if not has_dropped(data):
        raise ConfigError(
            f"{data}: no tables of dropped records beside the dataset",
            "They lie in the run's data folder: name the dataset there, such as data/dataset.",
        )
    drawn = draw_dropped(data, wanted, count, seed)
    rows = drawn.to_dicts() if drawn.height else []
    reasons = list_reasons(data)
    if not rows and wanted.reason and wanted.reason not in reasons:
        hint = suggest_name(wanted.reason, reasons)
        raise ConfigError(
            f"{data}: nothing was dropped for {wanted.reason!r}{hint}",
            f"The reasons are {', '.join(reasons)}." if reasons else "Nothing was dropped.",
        )
    lineage = read_lineage(
        data,
        {row["origin"] for row in rows if row["split"]},
        tables=("prompts", "responses", "labels", "pairs"),
        version="",
    )
    text = describe_response(pl.col("text"), pl.col("tool_calls"))
    texts = dict(lineage.tables["responses"].select("response_id", text).iter_rows())
    prompts = lineage.tables["prompts"].select("prompt_id", transcript(pl.col("messages")))
    texts |= dict(prompts.iter_rows())
    shown: list[ShownPair | ShownRecord] = []
    for row in rows:
        drop = Dropped.model_validate({name: row[name] for name in Dropped.model_fields})
        story = tell_story(lineage, drop.origin)
        comparison = next((c for c in story.comparisons if drop in c.dropped), None)
        shown.append(_describe_drop(drop, row, comparison, texts))
    return Shown(folder=data, shown=shown, full=full)


def _describe_pair(drawn: dict[str, Any], row: dict[str, Any]) -> ShownPair:
    said = {
        " ".join(filter(None, (each["judge"], each.get("annotator")))): each["preference"]
        for each in row.get("judgments") or []
    }
    figures = {"margin": drawn["margin"], "soft_label": row.get("soft_label"), **said}
    policies = [row.get(f"{side}_policy", "unknown") for side in ("chosen", "rejected")]
    return ShownPair(
        pair_id=drawn["pair_id"],
        prompt_id=drawn["prompt_id"],
        source=row.get("source"),
        split=drawn["split"],
        prompt=_read_messages(row.get("prompt", "")),
        titles=(f"chosen, by {policies[0]}", f"rejected, by {policies[1]}"),
        texts=(_read_messages(row["chosen"]), _read_messages(row["rejected"])),
        figures={name: value for name, value in figures.items() if value is not None},
        rationale=row.get("rationale_specific") or row.get("rationale"),
    )


def _describe_drop(
    drop: Dropped, row: dict[str, Any], comparison: ToldComparison | None, texts: dict[str, str]
) -> ShownPair | ShownRecord:
    dropped = f"{drop.stage}: {drop.reason}: {drop.detail}"
    common: dict[str, Any] = {"source": row["source"], "split": row["split"], "dropped": dropped}
    if comparison is None:
        return ShownRecord(origin=drop.origin, record=drop.record, **common)
    sides = (comparison.response_a, comparison.response_b)
    names = [f"response {each[:8]}" for each in sides]
    told, label = comparison.pair, comparison.label
    if told:
        sides = (told.pair.chosen_id, told.pair.rejected_id)
        names = ["chosen", "rejected"]
    elif label and label.preference < 0.5:
        sides, names = sides[::-1], names[::-1]
    sure = {"label": max(label.preference, 1 - label.preference)} if label else {}
    return ShownPair(
        pair_id=told.pair.pair_id if told else None,
        prompt_id=drop.origin,
        prompt=texts.get(drop.origin, ""),
        titles=(names[0], names[1]),
        texts=(texts.get(sides[0], ""), texts.get(sides[1], "")),
        figures=sure,
        **common,
    )


def _read_messages(value: Any) -> str:
    """The text of messages, in whatever form an export has them."""
    if isinstance(value, list):
        turns = [_read_turn(turn) for turn in value]
        if len(turns) == 1:
            return turns[0][1]
        return "\n\n".join(f"{role.title()}: {text}" for role, text in turns)
    return _read_turn(value)[1]


def _read_turn(turn: Any) -> tuple[str, str]:
    """(role, text) of one turn: a text, a message, or one as JSON."""
    if isinstance(turn, str):
        if not turn.startswith("{"):
            return "", turn
        try:
            turn = orjson.loads(turn)
        except orjson.JSONDecodeError:
            return "", turn
    role = str(turn.get("role") or turn.get("from") or "")
    parts = [turn.get("reasoning_content"), turn.get("content") or turn.get("value")]
    calls = [orjson.dumps(call).decode() for call in turn.get("tool_calls") or []]
    return role, "\n\n".join([*(str(part) for part in parts if part), *calls])
