"""How far the figures of the same comparisons moved from one version to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from prefdata.dataset.difference.rows import SAID, SPEAKER

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_SAME = 1e-12
"""A change below this is of the last digits of a sum."""


@dataclass
class Changes:
    """The changes of a figure, second version minus first. All are kept, for their quantiles."""

    parts: list[np.ndarray] = field(default_factory=list)

    def add(self, changes: pl.Series) -> None:
        """Add changes; nulls are left out."""
        self.parts.append(changes.drop_nulls().to_numpy())

    def plus(self, other: Changes) -> Changes:
        """Those of both."""
        return Changes([*self.parts, *other.parts])

    def summarize(self) -> dict[str, float | int | dict[str, float]]:
        """count and changed; where there are any, also mean, mean_absolute and quantiles."""
        values = np.concatenate([np.empty(0), *self.parts])
        found: dict[str, float | int | dict[str, float]] = {
            "count": len(values),
            "changed": int((np.abs(values) > _SAME).sum()),
        }
        if len(values):
            cuts = np.quantile(values, QUANTILES)
            found["mean"] = float(values.mean())
            found["mean_absolute"] = float(np.abs(values).mean())
            found["quantiles"] = {
                f"{q:g}": float(cut) for q, cut in zip(QUANTILES, cuts, strict=True)
            }
        return found


@dataclass
class JudgeDrift:
    """What changed in one judge's judgments of the same comparisons.

    Attributes:
        preference: The changes of P(chosen ≻ rejected), chosen as the first version has it.
        rewards: The changes of the rewards of both responses.
        flips: The verdicts that prefer the other response.
        lost: The judgments that the second version lacks, or has as Unscored.
        gained: Those that the first one lacks, or has as Unscored.
    """

    preference: Changes = field(default_factory=Changes)
    rewards: Changes = field(default_factory=Changes)
    flips: int = 0
    lost: int = 0
    gained: int = 0

    def plus(self, other: JudgeDrift) -> JudgeDrift:
        """Those of both."""
        return JudgeDrift(
            self.preference.plus(other.preference),
            self.rewards.plus(other.rewards),
            self.flips + other.flips,
            self.lost + other.lost,
            self.gained + other.gained,
        )


def measure_drift(both: pl.DataFrame) -> dict[tuple[str, str], JudgeDrift]:
    """The drift of each judge and dimension.

    Args:
        both: Pairs of both versions: `judgments`, `judgments_b`, and `turned`, whether the second
            version has the responses the other way round.
    """
    numbered = both.with_row_index("row")
    keys = ["row", *SPEAKER]
    one = _list_said(numbered, "judgments")
    other = _turn(_list_said(numbered, "judgments_b"))
    # Several people may say the same of a pair under one name.
    joined = one.unique(keys, keep="first", maintain_order=True).join(
        other.unique(keys, keep="first", maintain_order=True),
        on=keys,
        how="full",
        suffix="_b",
        nulls_equal=True,
        coalesce=True,
        maintain_order="left_right",
    )
    found = {}
    for (judge, dimension), rows in joined.partition_by(
        "judge", "dimension", as_dict=True, maintain_order=True
    ).items():
        drift, p, q = JudgeDrift(), rows["preference"], rows["preference_b"]
        drift.preference.add(q - p)
        for name in SAID[1:]:
            drift.rewards.add(rows[f"{name}_b"] - rows[name])
        drift.flips = int((((p - 0.5) * (q - 0.5)) < 0).sum())
        drift.lost = int((p.is_not_null() & q.is_null()).sum())
        drift.gained = int((p.is_null() & q.is_not_null()).sum())
        found[str(judge), str(dimension)] = drift
    return found


def merge_drift(
    parts: Sequence[dict[tuple[str, str], JudgeDrift]],
) -> dict[tuple[str, str], JudgeDrift]:
    """The drift of all parts together, sorted by judge and dimension."""
    merged: dict[tuple[str, str], JudgeDrift] = {}
    for part in parts:
        for key, drift in part.items():
            merged[key] = merged[key].plus(drift) if key in merged else drift
    return dict(sorted(merged.items()))


def _list_said(both: pl.DataFrame, column: str) -> pl.DataFrame:
    """A row for each judgment: row, turned, SPEAKER and SAID."""
    exploded = both.select("row", "turned", said=column).explode("said", empty_as_null=False)
    return exploded.drop_nulls("said").unnest("said")


def _turn(said: pl.DataFrame) -> pl.DataFrame:
    """The judgments of pairs that are turned, as of the first version's chosen and rejected."""
    preference, chosen, rejected = SAID
    turned = pl.col("turned")
    return said.with_columns(
        pl.when(turned).then(1 - pl.col(preference)).otherwise(preference).alias(preference),
        pl.when(turned).then(rejected).otherwise(chosen).alias(chosen),
        pl.when(turned).then(chosen).otherwise(rejected).alias(rejected),
    ).drop("turned")
