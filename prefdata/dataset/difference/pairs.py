"""Which pairs were added, removed, flipped or changed between two versions."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from prefdata.dataset.difference.drift import Changes, JudgeDrift, measure_drift, merge_drift
from prefdata.dataset.difference.rows import (
    FIGURES,
    SIDES,
    Side,
    choose_files,
    count_ranges,
    lie_in_range,
    read_pairs,
)

KINDS = ("added", "removed", "flipped", "texts", "rewards", "label", "split", "id")
"""What may have become of a pair: it is in one version alone; or in both, with its sides exchanged,
with another text, another reward, another soft_label, in another split, or under another id. The
last five may hold of one pair together."""
MOST_NAMED = 20
"""The pairs of each kind that are named."""
_WORKERS = 2
_B = "_b"
_NAMED = ("prompt_id", "pair_id", "pair_id_b")
_COUNTED = ("kind", "source", "split")
_COUNTS: dict[str, pl.DataType] = {**dict.fromkeys(_COUNTED, pl.String()), "rows": pl.Int64()}
_NAMES: dict[str, pl.DataType] = dict.fromkeys(("kind", *_NAMED), pl.String())


@dataclass
class PairChanges:
    """What became of the pairs.

    Attributes:
        pairs: The number of pairs of either version.
        prompts: The number of their prompts.
        prompts_added: The prompts that the second version alone has.
        prompts_removed: Those that the first alone has.
        counts: kind, source, split, rows; of kind "kept", too: pairs of both, not flipped.
        named: kind, prompt_id, pair_id, pair_id_b; the first of each kind.
        figures: The changes of the pairs' own figures, by column.
        judges: By judge and dimension.
    """

    pairs: tuple[int, int] = (0, 0)
    prompts: tuple[int, int] = (0, 0)
    prompts_added: int = 0
    prompts_removed: int = 0
    counts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_COUNTS))
    named: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_NAMES))
    figures: dict[str, Changes] = field(default_factory=dict)
    judges: dict[tuple[str, str], JudgeDrift] = field(default_factory=dict)


def compare_pairs(
    one: Side, other: Side, advance: Callable[[int, int], None] = lambda done, total: None
) -> PairChanges:
    """Compare the pairs of two versions, a range of prompts at a time.

    Args:
        one: The first version.
        other: The second version.
        advance: Told how many files of how many were read.

    Raises:
        TableError: A file is missing or damaged.
    """
    ranges = count_ranges(one, other)
    parts = _compare_ranges(one, other, ranges, advance)
    if parts is None:
        # Somebody has cut the files otherwise than export does.
        parts = _compare_ranges(one, other, 1, advance)
    assert parts is not None
    return _merge(parts)


def _compare_ranges(
    one: Side, other: Side, ranges: int, advance: Callable[[int, int], None]
) -> list[PairChanges] | None:
    """Each range for itself; None where a file holds a prompt of another range."""
    as_json = bool(one.entry.structure) != bool(other.entry.structure)
    total, done = len(one.list_files()) + len(other.list_files()), 0

    def work(place: int) -> tuple[PairChanges | None, int]:
        files = [choose_files(side, place, ranges) for side in (one, other)]
        a, b = (
            read_pairs(side, own, as_json=as_json)
            for side, own in zip((one, other), files, strict=True)
        )
        placed = all(lie_in_range(rows, place, ranges) for rows in (a, b))
        return _compare(a, b) if placed else None, sum(map(len, files))

    parts = []
    with ThreadPoolExecutor(_WORKERS) as threads:
        for part, files in threads.map(work, range(ranges)):
            if part is None:
                threads.shutdown(cancel_futures=True)
                return None
            parts.append(part)
            done += files
            advance(done, total)
    return parts


def _compare(a: pl.DataFrame, b: pl.DataFrame) -> PairChanges:
    both = _match(a, b)
    removed = a.join(both.select("pair_id"), on="pair_id", how="anti")
    added = b.join(both.select(pair_id="pair_id_b"), on="pair_id", how="anti")
    rewards = [pl.col(n).ne_missing(pl.col(f"{n}{_B}")) for n in FIGURES[1:]]
    texts = [pl.col(n) != pl.col(f"{n}{_B}") for n in SIDES]
    stayed = ~pl.col("turned")
    conditions = {
        "flipped": pl.col("turned"),
        "kept": stayed,
        "texts": stayed & pl.any_horizontal(texts),
        "rewards": stayed & pl.any_horizontal(rewards),
        "label": stayed & pl.col("soft_label").ne_missing(pl.col(f"soft_label{_B}")),
        "split": pl.col("split") != pl.col(f"split{_B}"),
        "id": stayed & (pl.col("pair_id") != pl.col(f"pair_id{_B}")),
    }
    none = pl.lit(None, pl.String)
    kinds = {
        "added": added.with_columns(pair_id=none, pair_id_b="pair_id"),
        "removed": removed.with_columns(pair_id_b=none),
        **{kind: both.filter(condition) for kind, condition in conditions.items()},
    }
    changes = PairChanges(
        pairs=(a.height, b.height),
        prompts=(a["prompt_id"].n_unique(), b["prompt_id"].n_unique()),
        prompts_added=_count_other_prompts(b, a),
        prompts_removed=_count_other_prompts(a, b),
        counts=pl.concat([_count(rows, kind) for kind, rows in kinds.items()]),
        named=pl.concat([_name(rows, kind) for kind, rows in kinds.items() if kind != "kept"]),
        judges=measure_drift(both),
    )
    turned = pl.col("turned")
    opposite = {
        "soft_label": 1 - pl.col(f"soft_label{_B}"),
        "reward_chosen": pl.col(f"reward_rejected{_B}"),
        "reward_rejected": pl.col(f"reward_chosen{_B}"),
    }
    for name, other in opposite.items():
        now = pl.when(turned).then(other).otherwise(f"{name}{_B}")
        changes.figures[name] = Changes()
        changes.figures[name].add(both.select((now - pl.col(name)).alias(name)).to_series())
    return changes


def _match(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """The pairs that both have: the columns of both, the second one's with _b, and `turned`."""
    renamed = b.rename({name: f"{name}{_B}" for name in b.columns})
    crosswise = (pl.col("chosen") == pl.col("rejected_b")) & (
        pl.col("rejected") == pl.col("chosen_b")
    )
    same = a.join(
        renamed, left_on="pair_id", right_on="pair_id_b", how="inner", coalesce=False
    ).with_columns(turned=crosswise & (pl.col("chosen") != pl.col("rejected")))
    found = [same]
    # What has another id may be the same texts, as they were or with sides exchanged.
    for turned, columns in ((False, SIDES), (True, SIDES[::-1])):
        known = pl.concat(found)
        rest = a.join(known.select("pair_id"), on="pair_id", how="anti")
        others = renamed.join(known.select("pair_id_b"), on="pair_id_b", how="anti")
        keys, theirs = ["prompt_id", *SIDES], ["prompt_id_b", *(f"{n}{_B}" for n in columns)]
        found.append(
            rest.unique(keys, keep="first", maintain_order=True)
            .join(
                others.unique(theirs, keep="first", maintain_order=True),
                left_on=keys,
                right_on=theirs,
                how="inner",
                coalesce=False,
            )
            .with_columns(turned=pl.lit(turned))
            .select(same.columns)
        )
    return pl.concat(found).sort("prompt_id", "pair_id")


def _count_other_prompts(rows: pl.DataFrame, others: pl.DataFrame) -> int:
    return rows.join(others, on="prompt_id", how="anti")["prompt_id"].n_unique()


def _count(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    kinds = rows.select(kind=pl.lit(kind), source=pl.col("source").fill_null(""), split="split")
    return kinds.group_by(_COUNTED).agg(rows=pl.len().cast(pl.Int64))


def _name(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    first = rows.sort("prompt_id", "pair_id", "pair_id_b").head(MOST_NAMED)
    return first.select(pl.lit(kind).alias("kind"), *_NAMED)


def _merge(parts: list[PairChanges]) -> PairChanges:
    """Of all ranges, in their order."""
    counts = pl.concat([pl.DataFrame(schema=_COUNTS), *(part.counts for part in parts)])
    named = pl.concat([pl.DataFrame(schema=_NAMES), *(part.named for part in parts)])
    figures = {name: Changes() for name in FIGURES}
    for part in parts:
        for name, changes in part.figures.items():
            figures[name].parts += changes.parts
    return PairChanges(
        pairs=(sum(p.pairs[0] for p in parts), sum(p.pairs[1] for p in parts)),
        prompts=(sum(p.prompts[0] for p in parts), sum(p.prompts[1] for p in parts)),
        prompts_added=sum(p.prompts_added for p in parts),
        prompts_removed=sum(p.prompts_removed for p in parts),
        counts=counts.group_by(_COUNTED).agg(pl.col("rows").sum()).sort(_COUNTED),
        named=named.filter(pl.int_range(pl.len()).over("kind") < MOST_NAMED),
        figures=figures,
        judges=merge_drift([part.judges for part in parts]),
    )
