"""Duplicates across buckets: what is compared, which of a group stays, and how that is said.

Groups are connected components over the verified similar pairs, so they depend neither on the
buckets nor on the order in which anything arrives. Of a group the best-scored text stays.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.filters.base import Filter, FilterConfig, Here, Mail, Texts, no_fault
from prefdata.hashing.digests import row_digests
from prefdata.inference.loop import Inference

Over = Literal["prompts", "chosen", "rejected"]

ID = {"prompts": "prompt_id", "chosen": "chosen_id", "rejected": "rejected_id"}
_ONE = {"prompts": "prompt", "chosen": "chosen", "rejected": "rejected"}
ROW_BITS = np.uint64(32)

EDGES = {"one": pl.UInt64, "other": pl.UInt64, "similarity": pl.Float64}
MEMBERS = {
    "number": pl.UInt64,
    "score": pl.Float64,
    "soft_label": pl.Float64,
    "content": pl.UInt64,
    "id": pl.String,
}
UNITS = {name: MEMBERS[name] for name in ("number", "score", "soft_label")}
_SUMMARY = {
    "id": pl.String,
    "winner": pl.String,
    "score": pl.Float64,
    "nearest": pl.String,
    "similarity": pl.Float64,
}


class DuplicatesConfig(FilterConfig):
    over: Over = Field("prompts", description="What is compared: the prompts, or the responses.")
    best_by: Literal["margin", "reward_chosen", "soft_label"] = Field(
        "margin", description="Of a group the one whose best pair has most of it stays."
    )


class Duplicates(Filter):
    """A filter that groups texts and keeps the best of each group.

    A text is known by a number, its bucket and the row in it: smaller numbers come first in the
    table, however many buckets it has.
    """

    config: DuplicatesConfig
    measure_name: str
    """What `similarity` is, in a dropped record's detail."""
    limit: float

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        return pairs.with_columns(no_fault())

    @property
    def table(self) -> str:
        """The table in which the compared texts lie."""
        return "prompts" if self.config.over == "prompts" else "responses"

    def units(self, measured: pl.DataFrame, here: Here) -> pl.DataFrame:
        """The bucket's texts that some pair is about: UNITS, `id` and `text`."""
        best = (
            measured.select(
                "soft_label",
                id=ID[self.config.over],
                score=pl.col(self.config.best_by).cast(pl.Float64),
            )
            .group_by("id")
            .agg(pl.col("score", "soft_label").max())
        )
        rows = identified(here.read(here.number, self.table)).with_row_index("row")
        bucket = np.uint64(here.number) << ROW_BITS
        return rows.join(best, on="id", maintain_order="left").select(
            "id",
            "score",
            "soft_label",
            "text",
            number=pl.col("row").cast(pl.UInt64) + pl.lit(bucket),
        )

    def members(self, units: pl.DataFrame, here: Here) -> pl.DataFrame:
        """MEMBERS and `text` of UNITS, read again from their buckets; sorted by number."""
        found = []
        numbers = units["number"].to_numpy()
        buckets = (numbers >> ROW_BITS).astype(np.int64)
        for bucket in np.unique(buckets).tolist():
            some = units.filter(pl.Series(buckets == bucket)).sort("number")
            rows = (some["number"].to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.int64)
            texts = identified(here.read(bucket, self.table))[rows]
            found.append(some.with_columns(texts, content=contents(texts["text"])))
        empty = pl.DataFrame(schema={**MEMBERS, "text": pl.String})
        return pl.concat([empty, *(f.select(empty.columns) for f in found)])

    def settle(self, mail: Mail) -> pl.DataFrame:
        if "edges" not in mail:
            return pl.DataFrame(schema=_SUMMARY)
        edges = mail["edges"].unique(["one", "other"]).sort("one", "other")
        members = mail["members"].unique("number").sort("number")
        numbers = members["number"].to_numpy()
        one = np.searchsorted(numbers, edges["one"].to_numpy())
        other = np.searchsorted(numbers, edges["other"].to_numpy())
        ranked = (
            members.with_columns(group=pl.Series(components(one, other, len(numbers))))
            .with_row_index("place")
            .sort(
                ["score", "soft_label", "content", "id"],
                descending=[True, True, False, False],
                nulls_last=True,
            )
        )
        best = ranked.unique("group", keep="first", maintain_order=True).select(
            "group", winner="id", winner_score="score"
        )
        ids = members["id"]
        # Of each text the likest other one of its group: the figure that its dropped record names.
        ends = pl.concat(
            pl.DataFrame(
                {"id": ids.gather(a), "nearest": ids.gather(b), "similarity": edges["similarity"]}
            )
            for a, b in ((one, other), (other, one))
        )
        nearest = ends.sort(["id", "similarity", "nearest"], descending=[False, True, False])
        nearest = nearest.unique("id", keep="first", maintain_order=True)
        return (
            ranked.join(best, on="group")
            .filter(pl.col("id") != pl.col("winner"))
            .join(nearest, on="id")
            .select("id", "winner", "nearest", "similarity", score="winner_score")
            .sort("id")
        )

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        assert summary is not None
        one, by = _ONE[self.config.over], self.config.best_by
        found = measured.select(id=ID[self.config.over]).join(
            summary, on="id", how="left", maintain_order="left"
        )
        score = pl.format(" by {} {}", pl.lit(by), pl.col("score").round(4)).fill_null("")
        return measured.with_columns(
            found.select(
                reason=pl.when(pl.col("winner").is_not_null()).then(
                    pl.lit(f"{self.kind.removesuffix('s')}_{one}")
                ),
                detail=pl.format(
                    "{} {} to {}, {} counts as a duplicate; {} stays{}",
                    pl.lit(self.measure_name),
                    pl.col("similarity").round(4),
                    "nearest",
                    pl.lit(self.limit),
                    "winner",
                    score,
                ),
            )
        )

    def figures(self, summary: pl.DataFrame) -> dict[str, float]:
        return {"groups": summary["winner"].n_unique(), "duplicates": summary.height}


def identified(rows: pl.DataFrame) -> pl.DataFrame:
    """`id` and `text` of a table's rows, in their order; a prompt's text is that of all turns."""
    if "response_id" in rows.columns:
        return rows.select("text", id="response_id")
    contents = pl.col("messages").list.eval(pl.element().struct.field("content"))
    return rows.select(text=contents.list.join("\n"), id="prompt_id")


def contents(texts: pl.Series) -> pl.Series:
    """64 bits a text, from its SHA-256: equal for equal texts, wherever they stand."""
    digests = row_digests(pl.DataFrame({"text": texts}), ["text"])
    return digests.str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)


def components(one: np.ndarray, other: np.ndarray, count: int) -> np.ndarray:
    """For each of `count` nodes the least node of its connected component."""
    label = np.arange(count)
    forest(one, other, label)
    return label


def forest(one: np.ndarray, other: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The numbers of edges (one[i], other[i]) that connect what all of them connect, without a
    cycle. `label`, each node's root, is brought up to date: the least node of its component.

    Every round hooks each root that has smaller neighbouring ones under the smallest of these and
    shortens all paths: logarithmically many rounds, also along a chain (Boruvka; Shiloach and
    Vishkin).
    """
    left = np.arange(len(one))
    used: list[np.ndarray] = []
    while True:
        a, b = label[one[left]], label[other[left]]
        left, a, b = left[a != b], a[a != b], b[a != b]
        if not len(left):
            return np.concatenate([*used, left])
        high, low = np.maximum(a, b), np.minimum(a, b)
        order = np.lexsort((low, high))
        roots, first = np.unique(high[order], return_index=True)
        label[roots] = low[order][first]
        used.append(left[order][first])
        while not np.array_equal(label, above := label[label]):
            label[:] = above
