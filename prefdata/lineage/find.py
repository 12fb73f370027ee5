"""Which prompts an id, the beginning of one, or a piece of text means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from prefdata.hashing.ids import ID_BYTES
from prefdata.records import Dropped, Prompt
from prefdata.tables import Table, TableInfo, bucket_of, read_bucket, read_info
from prefdata.tables.catalog import TABLES, Catalog
from prefdata.tables.read import is_finished
from prefdata.text.transcript import transcript

_ID = re.compile(r"[0-9a-f]{4,32}")
_WIDTH = 2 * ID_BYTES
_AROUND = 60
"""Characters before and after what was found that an excerpt shows."""


@dataclass(frozen=True)
class Match:
    """What was found.

    Attributes:
        prompt_id: The prompt; empty where a row fell out before it became one.
        origin: Its source row, file:row; empty where that is not known.
        found: "prompt", "pair" or "response", by whose id it was found, "text" or "dropped row".
        id: That id, or the prompt's.
        excerpt: The text around what was found; the beginning of the prompt.
    """

    prompt_id: str
    origin: str
    found: str
    id: str
    excerpt: str


def find_prompts(data: str, wanted: str, limit: int) -> list[Match]:
    """The prompts that `wanted` means, the ones with that id before those with that text.

    Args:
        data: The run's data folder.
        wanted: The id of a prompt, a pair or a response, or at least its first 4 characters; a
            source row, file:row; or a piece of the prompt's text, in any case.
        limit: The most to find.

    Raises:
        TableError: There is no table of prompts, or it is damaged.
    """
    catalog = Catalog(data)
    found: list[Match] = []
    if _ID.fullmatch(wanted):
        found = _find_ids(catalog, wanted, limit)
    return found or _find_texts(catalog, wanted, limit)


def _find_ids(catalog: Catalog, prefix: str, limit: int) -> list[Match]:
    found = [
        (row["prompt_id"], "prompt", row["prompt_id"])
        for row in _scan_ids(catalog, "prompts", "prompt_id", prefix, limit)
    ]
    for table, kind in (("pairs", "pair"), ("responses", "response")):
        # An id of 16 bytes is of one thing alone.
        if len(found) < limit and not (found and len(prefix) == _WIDTH):
            column = f"{kind}_id"
            rows = _scan_ids(catalog, table, column, prefix, limit - len(found))
            found += [(row["prompt_id"], kind, row[column]) for row in rows]
    return [_describe(catalog, *each) for each in found]


def _scan_ids(
    catalog: Catalog, name: str, column: str, prefix: str, limit: int
) -> list[dict[str, str]]:
    """The rows of a table whose id begins so: the id, and prompt_id."""
    table = catalog.table(name, TABLES[name])
    if name != "prompts" and not is_finished(table):
        return []
    info = read_info(table)
    buckets = _list_buckets(info, prefix) if column == "prompt_id" else range(info.buckets)
    found: list[dict[str, str]] = []
    for bucket in buckets:
        rows = read_bucket(table, bucket, info, sorted({column, "prompt_id"}))
        found += rows.filter(pl.col(column).str.starts_with(prefix)).to_dicts()
        if len(found) >= limit:
            break
    return found[:limit]


def _list_buckets(info: TableInfo, prefix: str) -> range:
    """The buckets in which an id that begins so may lie."""
    first, last = (bucket_of(prefix.ljust(8, digit), info.buckets) for digit in "0f")
    return range(first, last + 1)


def _describe(catalog: Catalog, prompt_id: str, kind: str, found: str) -> Match:
    table = catalog.table("prompts", Prompt)
    info = read_info(table)
    rows = _read_texts(table, bucket_of(prompt_id, info.buckets), info)
    for row in rows.filter(prompt_id=prompt_id).iter_rows(named=True):
        return Match(prompt_id, row["origin"], kind, found, _find_excerpt(row["text"]))
    return Match(prompt_id, "", kind, found, "")


def _find_texts(catalog: Catalog, wanted: str, limit: int) -> list[Match]:
    """By the text of prompts, then by that of rows that fell out before they became one."""
    found: list[Match] = []
    for row in _search(catalog.table("prompts", Prompt), wanted):
        excerpt = _find_excerpt(row["text"], wanted)
        found.append(Match(row["prompt_id"], row["origin"], "text", row["prompt_id"], excerpt))
        if len(found) == limit:
            return found
    dropped = catalog.dropped("ingest")
    known = {match.prompt_id for match in found}
    for row in _search(dropped, wanted) if is_finished(dropped) else ():
        # A duplicate's origin is the id of the prompt that it repeats.
        prompt_id = row["origin"] if _ID.fullmatch(row["origin"]) else ""
        if prompt_id not in known:
            excerpt = _find_excerpt(row["text"], wanted)
            found.append(Match(prompt_id, row["origin"], "dropped row", prompt_id, excerpt))
        if len(found) == limit:
            break
    return found


def _search(table: Table, wanted: str) -> Iterator[dict[str, str]]:
    """The rows with this text, or of this source row."""
    info = read_info(table)
    for bucket in range(info.buckets):
        rows = _read_texts(table, bucket, info)
        text = pl.col("text").str.to_lowercase().str.contains(wanted.lower(), literal=True)
        yield from rows.filter(text | (pl.col("origin") == wanted)).iter_rows(named=True)


def _read_texts(table: Table, bucket: int, info: TableInfo) -> pl.DataFrame:
    """origin, text and, of prompts, prompt_id."""
    if table.record is Dropped:
        rows = read_bucket(table, bucket, info, ["origin", "record"])
        return rows.rename({"record": "text"})
    rows = read_bucket(table, bucket, info, ["prompt_id", "origin", "messages"])
    return rows.select("prompt_id", "origin", text=transcript(pl.col("messages")))


def _find_excerpt(text: str, wanted: str = "") -> str:
    """The text around what is wanted, on one line; its beginning where that is not in it."""
    at = max(text.lower().find(wanted.lower()), 0)
    first, last = max(at - _AROUND, 0), at + 2 * _AROUND
    cut = " ".join(text[first:last].split())
    return f"{'…' if first else ''}{cut}{'…' if last < len(text) else ''}"
