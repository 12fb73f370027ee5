"""Near-duplicates by the words they share, over prompts or over responses: the best one stays.

MinHash with banding finds candidates (minhash.py), the Jaccard similarity of their word trigrams
decides (shingles.py). As an exchange: bands meet in their parts, which makes candidates; the part
that one text of a candidate pair lies in sends its shingles on to the other's, where they are
compared. No step sees all texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.filters.base import Here, Mail, Message, by_part
from prefdata.filters.duplicates.base import (
    EDGES,
    MEMBERS,
    ROW_BITS,
    UNITS,
    Duplicates,
    DuplicatesConfig,
)
from prefdata.filters.duplicates.minhash import (
    band_hashes,
    banding,
    candidates,
    distinct,
    signatures,
)
from prefdata.text.shingles import Ragged, jaccard, shingles, sketches

_BATCH = 20_000
"""Candidate pairs compared at once."""


class NearDuplicatesConfig(DuplicatesConfig):
    kind: Literal["near_duplicates"] = "near_duplicates"
    max_similarity: float = Field(
        0.8, gt=0.2, le=1, description="Jaccard similarity from which on two texts are duplicates."
    )


class NearDuplicates(Duplicates):
    """See the module."""

    config: NearDuplicatesConfig
    rounds = 3
    prompt_reasons = frozenset({"near_duplicate_prompt"})
    measure_name = "trigram similarity"

    @property
    def limit(self) -> float:  # type: ignore[override]
        return self.config.max_similarity

    def scatter(
        self, measured: pl.DataFrame, summary: pl.DataFrame | None, here: Here
    ) -> Iterator[Message]:
        units = self.units(measured, here)
        yield Message(here.number * here.parts // here.buckets, "units", units.select(list(UNITS)))
        bands, rows = banding(self.config.max_similarity)
        signed = signatures(shingles(units["text"]), bands * rows)
        hashes = band_hashes(signed, bands, rows).ravel()
        numbers = np.repeat(units["number"].to_numpy(), bands)
        entries = pl.DataFrame({"hash": hashes, "number": numbers})
        parts = (hashes >> np.uint64(32)) * np.uint64(here.parts) >> np.uint64(32)
        yield from by_part("bands", entries, parts.astype(np.int64))

    def relay(self, number: int, mail: Mail, here: Here) -> Iterator[Message]:
        step = (self._meet, self._fetch, self._compare)[number - 1]
        yield from step(mail, here)

    def _meet(self, mail: Mail, here: Here) -> Iterator[Message]:
        """Bands -> candidate pairs, to the part of the first text."""
        if "units" in mail:
            yield Message(here.number, "units", mail["units"])
        if "bands" in mail:
            entries = mail["bands"]
            pairs = candidates(entries["hash"].to_numpy(), entries["number"].to_numpy())
            yield from by_part("pairs", _frame(pairs), _owners(pairs[:, 0], here))

    def _fetch(self, mail: Mail, here: Here) -> Iterator[Message]:
        """Pairs and the sketches of their first texts, to the part of the second text."""
        if "units" in mail:
            yield Message(here.number, "units", mail["units"])
        if "pairs" not in mail:
            return
        pairs = distinct(mail["pairs"]["one"].to_numpy(), mail["pairs"]["other"].to_numpy())
        owners = _owners(pairs[:, 1], here)
        yield from by_part("pairs", _frame(pairs), owners)
        firsts = mail["units"].filter(_among(pairs[:, 0]))
        members, sketched = self._sketched(firsts, here)
        members = members.drop("text").with_columns(sketch=_lists(sketched))
        goes = _distinct_rows(np.searchsorted(members["number"].to_numpy(), pairs[:, 0]), owners)
        yield from by_part("firsts", members[goes[:, 0]], goes[:, 1])

    def _compare(self, mail: Mail, here: Here) -> Iterator[Message]:
        """The pairs that are duplicates, and their texts' scores, to `settle`."""
        if "pairs" not in mail:
            return
        pairs = distinct(mail["pairs"]["one"].to_numpy(), mail["pairs"]["other"].to_numpy())
        firsts = mail["firsts"].sort("number")
        left = _ragged(firsts["sketch"])
        seconds = mail["units"].filter(_among(pairs[:, 1]))
        members, right = self._sketched(seconds, here)
        rows = np.stack(
            [
                np.searchsorted(firsts["number"].to_numpy(), pairs[:, 0]),
                np.searchsorted(members["number"].to_numpy(), pairs[:, 1]),
            ],
            axis=1,
        )
        batches = [rows[n : n + _BATCH] for n in range(0, len(rows), _BATCH)]
        similarity = np.concatenate([jaccard(left, right, batch) for batch in batches])
        alike = similarity >= self.config.max_similarity
        if alike.any():
            edges = _frame(pairs[alike]).with_columns(similarity=similarity[alike])
            both = pl.concat([firsts.select(list(MEMBERS)), members.select(list(MEMBERS))])
            yield Message(0, "edges", edges.select(list(EDGES)))
            yield Message(0, "members", both.filter(_among(pairs[alike].ravel())))

    def _sketched(self, units: pl.DataFrame, here: Here) -> tuple[pl.DataFrame, Ragged]:
        members = self.members(units, here)
        return members, sketches(shingles(members["text"]))


def _frame(pairs: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"one": pairs[:, 0], "other": pairs[:, 1]})


def _among(numbers: np.ndarray) -> pl.Expr:
    return pl.col("number").is_in(pl.Series(np.unique(numbers)).implode())


def _owners(numbers: np.ndarray, here: Here) -> np.ndarray:
    """The part in whose range of buckets each number lies."""
    return (numbers >> ROW_BITS).astype(np.int64) * here.parts // here.buckets


def _distinct_rows(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n, 2): the distinct (one, other)."""
    packed = np.unique(one.astype(np.int64) << np.int64(32) | other.astype(np.int64))
    return np.stack([packed >> np.int64(32), packed & np.int64(0xFFFFFFFF)], axis=1)


def _lists(ragged: Ragged) -> pl.Series:
    import pyarrow as pa

    return pl.Series(
        pl.from_arrow(pa.LargeListArray.from_arrays(ragged.starts, pa.array(ragged.values)))
    )


def _ragged(lists: pl.Series) -> Ragged:
    starts = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy().astype(np.int64))])
    return Ragged(lists.explode(empty_as_null=False).to_numpy(), starts)
