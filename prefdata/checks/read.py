"""Reading a dataset for the checks: its pairs as an importer reads them, and the forms of its rows
as consumers see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Any

import polars as pl

from prefdata.checks.base import PAIRS, CheckedDataset
from prefdata.consumers.forms import Forms
from prefdata.consumers.registry import CONSUMERS
from prefdata.errors import DropRecord, SourceError
from prefdata.files.rows import Row
from prefdata.inference.progress import Progress
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.dataset_source import DatasetSource
from prefdata.sources.datasets import Dataset, open_splits
from prefdata.sources.detect import open_dataset_source
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.pairs import NO_PAIR, find_annotations, list_pairs, read_records
from prefdata.sources.rows.preference_forms.scores import SCORES
from prefdata.sources.rows.values import is_number

MAX_PROMPT_CHARS = 1_000_000

_SCORES = (*SCORES, ("reward_chosen", "reward_rejected"))
_DROPPED = {"place": pl.String, "reason": pl.String, "detail": pl.String, "fault": pl.Boolean}
_VERDICTS = {
    **dict.fromkeys(("prompt_id", "response_a", "response_b"), pl.String),
    **dict.fromkeys(("annotator", "group", "dimension"), pl.String),
    "verdict": pl.Int64,
}
_KINDS = {str: "text", bool: "true or false", int: "number", float: "number", list: "list"}


class _Reader:
    """The rows of all splits, as they come."""

    def __init__(self) -> None:
        self.forms = Forms(name for part in CONSUMERS.parts.values() for name in part.reads)
        self.kinds: dict[str, Counter[str]] = {}
        self.counts: dict[str | None, int] = {}
        self.pairs: list[tuple[Any, ...]] = []
        self.dropped: list[tuple[str, str, str, bool]] = []
        self.verdicts: list[tuple[Any, ...]] = []

    def add_row(self, row: Row, split: str | None) -> str:
        """Count a row and its form; where it stands."""
        place = f"row {row.number}" if split is None else f"{split}, row {row.number}"
        self.counts[split] = self.counts.get(split, 0) + 1
        if isinstance(row.value, dict):
            self.forms.add(row.value, place)
            for name, value in row.value.items():
                if value is not None:
                    kind = _KINDS.get(type(value), "object")
                    self.kinds.setdefault(name, Counter())[kind] += 1
        return place

    def add_records(
        self,
        source: DatasetSource,
        row: Row,
        annotations: AnnotationKind,
        split: str | None,
        place: str,
    ) -> None:
        """Add the pairs of a row, or why there are none."""
        found: dict[tuple[str, ...], tuple[Any, ...]] = {}
        reason, fault = NO_PAIR, False
        for record in read_records(source, row, MAX_PROMPT_CHARS):
            if record.row is None:
                assert record.reason is not None
                reason, fault = record.reason, record.is_fault
                continue
            prompt = "\n".join(turn.content for turn in record.row.turns)
            scores = _read_scores(row.value)
            for pair in list_pairs(record.row, annotations):
                ids = pair.ids
                sides = zip(ids[1:], (pair.chosen, pair.rejected), scores, strict=True)
                columns = [value for side in sides for value in _describe_side(*side)]
                found[ids] = (place, split, ids[0], prompt, *columns)
            self.verdicts += _list_verdicts(record.row)
            thumb = _take_thumb(record.row)
            if thumb is not None:
                is_up, columns = thumb
                both = [*columns, *_NO_SIDE] if is_up else [*_NO_SIDE, *columns]
                prompt_id = record.row.prompt_id()
                found[prompt_id, columns[0]] = (place, split, prompt_id, prompt, *both)
        self.pairs += found.values()
        if not found:
            self.dropped.append((place, reason.reason, reason.problem, fault))


_NO_SIDE = (None,) * 5


def _describe_side(response_id: str, side: Mapping[str, Any], score: float | None) -> Iterator[Any]:
    """The columns of a side, in the order of PAIRS."""
    yield response_id
    yield side["text"]
    yield side["thoughts"]
    yield bool(side["tool_calls"])
    yield score


def _read_scores(row: Any) -> tuple[float | None, float | None]:
    """The dataset's own scores of the chosen and the rejected response."""
    for names in _SCORES:
        one, other = (row.get(name) for name in names)
        if is_number(one) and is_number(other):
            return float(one), float(other)
    return None, None


def _take_thumb(row: SourceRow) -> tuple[bool, list[Any]] | None:
    """Whether the one response of a record has its thumb up, and its columns; None: there are
    others, or no thumb."""
    given, responses = row.annotation, row.responses or []
    if given is None or given["kind"] != "thumb" or len(responses) != 1:
        return None
    columns = list(_describe_side(responses[0]["response_id"], responses[0], None))
    return bool(given["values"][0]), columns


def _list_verdicts(row: SourceRow) -> Iterator[tuple[Any, ...]]:
    """What an annotator says of every two responses that it annotated."""
    given = row.annotation
    if given is None or len(given["responses"]) < 2:
        return
    sign = -1 if given["kind"] == "ranking" else 1
    prompt = row.prompt_id()
    values = zip(given["responses"], given["values"], strict=True)
    for (one, a), (other, b) in combinations(values, 2):
        verdict = sign * ((a > b) - (a < b))
        who = given["annotator"], given["group"], given["dimension"]
        yield (prompt, one, other, *who, verdict)


def read_dataset(
    path: str,
    *,
    kind: str | None = None,
    split: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> CheckedDataset:
    """Read a dataset.

    Args:
        path: A file, a folder of data files, or a hub id.
        kind: The kind of source that reads it; None: by its columns.
        split: The one split to read; None: all.
        subset: The configuration of a hub dataset or folder.
        revision: The revision of a hub dataset.
        columns: The columns of prompt, chosen and rejected, if they have unusual names.
        limit: Read at most this many rows of each split.
        progress: Is told which split is read.

    Raises:
        SourceError: It can't be read at all, or has no such split.
        ConfigError: The kind or a setting is wrong.
    """
    splits = open_splits(path, subset, revision)
    if split is not None:
        if split not in splits:
            known = ", ".join(name or "one without a name" for name in splits)
            raise SourceError(f"{path}: has no split {split!r}; it has: {known}")
        splits = {split: splits[split]}
    named = {"subset": subset, "revision": revision, "limit": limit}
    settings: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if columns:
        kind, settings = kind or "preferences", {**settings, "columns": dict(columns)}
    reader = _Reader()
    form, unread = None, None
    for name, dataset in splits.items():
        if progress:
            progress.note(f"reads {dataset.name}")
        given = settings if name is None else {**settings, "split": name}
        try:
            source = open_dataset_source(path, kind, given)
        except SourceError as error:
            if kind:
                raise
            source, unread = None, error.problem
        _read_split(reader, dataset, source, name, limit)
        form = form or (source.form_name if source else None)
    return CheckedDataset(
        name=path,
        form=form,
        rows=reader.counts,
        forms=reader.forms.list_forms(),
        kinds=reader.kinds,
        pairs=pl.DataFrame(reader.pairs, schema=PAIRS, orient="row"),
        dropped=pl.DataFrame(reader.dropped, schema=_DROPPED, orient="row"),
        annotations=pl.DataFrame(reader.verdicts, schema=_VERDICTS, orient="row"),
        unread=unread,
    )


def _read_split(
    reader: _Reader,
    dataset: Dataset,
    source: DatasetSource | None,
    split: str | None,
    limit: int | None,
) -> None:
    annotations = find_annotations(source) if source else None
    for row in islice(dataset.rows(), limit):
        place = reader.add_row(row, split)
        if isinstance(row.value, DropRecord):
            reason = row.value
            reader.dropped.append((place, reason.reason, reason.problem, True))
        elif source and annotations:
            reader.add_records(source, row, annotations, split, place)
