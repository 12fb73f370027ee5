"""The pairs of two versions in columns that can be compared, prompt range by prompt range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import polars as pl

from prefdata.dataset.manifest import ExportEntry, FileEntry, Manifest
from prefdata.dataset.shards import read_bucket_number
from prefdata.dataset.verification.rows import find_record, read_rows
from prefdata.errors import ConfigError, TableError
from prefdata.files import storage
from prefdata.records.base import fill_absent

IDS = ("pair_id", "prompt_id")
SIDES = ("chosen", "rejected")
FIGURES = ("soft_label", "reward_chosen", "reward_rejected")
SPEAKER = ("judge", "dimension", "annotator", "group")
SAID = ("preference", "reward_chosen", "reward_rejected")
_READ = (*IDS, *SIDES, "source", *FIGURES, "judgments")
_JUDGMENT = pl.Struct({**dict.fromkeys(SPEAKER, pl.String()), **dict.fromkeys(SAID, pl.Float64())})
_ABSENT = {
    "source": pl.String(),
    **dict.fromkeys(FIGURES, pl.Float64()),
    "judgments": pl.List(_JUDGMENT),
}

_SCHEMA = {
    **dict.fromkeys(IDS, pl.String()),
    **dict.fromkeys(SIDES, pl.UInt64()),
    **_ABSENT,
    "split": pl.String(),
}


@dataclass(frozen=True)
class Side:
    """One of the two versions.

    Attributes:
        folder: Its folder.
        manifest: Its manifest.
        export: The name of the export whose pairs are compared.
    """

    folder: str
    manifest: Manifest
    export: str

    @property
    def entry(self) -> ExportEntry:
        """That export."""
        return self.manifest.exports[self.export]

    def list_files(self) -> list[FileEntry]:
        """Its files with rows."""
        return [file for file in self.entry.files if file.split is not None]


def choose_exports(one: Manifest, other: Manifest) -> tuple[str, str]:
    """The exports of two versions whose pairs can be compared: of one kind, if possible of one
    name. Raises ConfigError where there are none."""
    lists = [[n for n, e in m.exports.items() if holds_pairs(e)] for m in (one, other)]
    matching = [
        (mine, theirs)
        for mine in lists[0]
        for theirs in lists[1]
        if one.exports[mine].kind == other.exports[theirs].kind
    ]
    if matching:
        return next(((a, b) for a, b in matching if a == b), matching[0])
    has, had = (", ".join(e.kind for e in m.exports.values()) for m in (one, other))
    raise ConfigError(
        f"the versions have no form in common that has pairs with their ids: {has}; {had}",
        "Export both with one form that has, such as trl, in export.formats.",
    )


def holds_pairs(entry: ExportEntry) -> bool:
    """Whether each of its rows is a pair that says which one."""
    # Early manifests describe no columns; their only form was trl.
    columns = set(entry.columns or (*IDS, *SIDES))
    return {*IDS, *SIDES} <= columns and entry.rows_out == sum(entry.splits.values())


def count_ranges(one: Side, other: Side) -> int:
    """The number of ranges of prompts that both versions can be read by: 1 where a file holds all
    prompts of its split."""
    places = [read_bucket_number(file.path) for side in (one, other) for file in side.list_files()]
    return min((place[1] if place else 1 for place in places), default=1)


def choose_files(side: Side, place: int, ranges: int) -> list[FileEntry]:
    """The files of a version that hold the prompts of one range."""
    if ranges == 1:
        return side.list_files()
    numbers = ((file, read_bucket_number(file.path)) for file in side.list_files())
    return [file for file, n in numbers if n and n[0] * ranges // n[1] == place]


def lie_in_range(pairs: pl.DataFrame, place: int, ranges: int) -> bool:
    """Whether the prompts of all pairs are of this range; see `prefdata.tables.bucket_of`."""
    head = pl.col("prompt_id").str.head(8).str.to_integer(base=16, dtype=pl.UInt64, strict=False)
    found = pairs.select(((head * ranges).floordiv(1 << 32) == place).fill_null(False).all())
    return bool(found.item()) or ranges == 1


def read_pairs(side: Side, files: Sequence[FileEntry], *, as_json: bool) -> pl.DataFrame:
    """The pairs of some files of a version, each once.

    Args:
        side: The version.
        files: The files.
        as_json: Whether messages are compared as JSON: where only one of the versions has them so.

    Returns:
        IDS, SIDES as digests of their texts, `source`, `split`, FIGURES and `judgments`.

    Raises:
        TableError: A file is missing or damaged.
    """
    record = find_record(side.entry)
    frames = [pl.DataFrame(schema=_SCHEMA)]
    for file in files:
        content = read_rows(side.folder, file, record, _READ)
        if content.problem:
            raise TableError(
                f"{storage.join(side.folder, file.path)}: {content.problem}",
                "Export it again, or fetch it again; `prefdata verify` names all damage.",
            )
        for rows in content.pieces:
            typed = rows if rows.columns != ["line"] else _parse_lines(rows["line"])
            frames.append(
                _fit(typed, as_json).with_columns(split=pl.lit(file.split)).select(*_SCHEMA)
            )
    return pl.concat(frames).unique("pair_id", keep="first", maintain_order=True)


def _parse_lines(lines: pl.Series) -> pl.DataFrame:
    """JSON objects whose types are not known: the ids, and the sides as JSON."""
    parsed = [orjson.loads(line) for line in lines]
    sides = [{side: orjson.dumps(row.get(side)).decode() for side in SIDES} for row in parsed]
    ids = [{name: row.get(name) for name in (*IDS, "source")} for row in parsed]
    kinds = dict.fromkeys((*IDS, "source", *SIDES), pl.String())
    return pl.DataFrame([{**a, **b} for a, b in zip(ids, sides, strict=True)], schema=kinds)


def _fit(rows: pl.DataFrame, as_json: bool) -> pl.DataFrame:
    """The columns that are compared."""
    sides = [_render(pl.col(side), rows.schema[side], as_json).hash().alias(side) for side in SIDES]
    fitted = fill_absent(rows.with_columns(sides), _ABSENT)
    kind = fitted.schema["judgments"]
    if kind != pl.List(_JUDGMENT):
        there = {f.name for f in kind.inner.fields}  # type: ignore[attr-defined]
        fields = [
            (pl.element().struct.field(f.name) if f.name in there else pl.lit(None, f.dtype)).alias(
                f.name
            )
            for f in _JUDGMENT.fields
        ]
        fitted = fitted.with_columns(pl.col("judgments").list.eval(pl.struct(fields)))
    return fitted


def _render(side: pl.Expr, kind: pl.DataType, as_json: bool) -> pl.Expr:
    """A side as one text, the same for the same messages."""
    if kind == pl.String:
        return side
    if isinstance(kind, pl.Struct):
        return side.struct.json_encode()
    turn = pl.element()
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct):
        fields = [turn.struct.field(f.name) for f in kind.inner.fields]
        turn = turn.struct.json_encode() if as_json else pl.concat_str(fields, separator="\0")
    return side.list.eval(turn).list.join("\0")
