"""How often people agree with the run's labels, in the sample and in all of its comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import compute_verdict
from prefdata.review.sample import RANDOM


class Agreement(BaseModel):
    """Agreement of people's mean judgment with the label, of comparisons that have both and where
    people are for one of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    compared: int = Field(description="Comparisons with a label that people decided.")
    agreed: int = Field(description="Those of them where both prefer the same response.")
    estimate: float | None = Field(
        description="The share for all comparisons with a label: each weighed by one over its "
        "chance to be drawn. Null where none was drawn at random, or the chance is not known."
    )

    def lines(self) -> Iterator[str]:
        """In words."""
        if not self.compared:
            yield "no comparison with a label was decided by people"
            return
        yield (
            f"people agree with the label on {self.agreed:,} of {self.compared:,} comparisons, "
            "which were chosen because judges disagree"
        )
        if self.estimate is None:
            yield "of all comparisons: not known, as none was drawn at random (--random-share)"
        else:
            yield f"of all comparisons, by their chance to be drawn: {self.estimate:.0%}"


def measure_agreement(
    judgments: Sequence[Mapping[str, Any]],
    labels: pl.DataFrame,
    drawn: Mapping[tuple[str, str, str], tuple[str, float]],
) -> Agreement:
    """Compare people with labels.

    Args:
        judgments: `PersonJudgment` rows.
        labels: `Label` rows.
        drawn: (stratum, probability) of each comparison, as far as known.
    """
    rows = pl.DataFrame([{k: row[k] for k in (*COMPARISON, "preference")} for row in judgments])
    people = rows.group_by(COMPARISON).agg(pl.col("preference").sort().mean())
    both = people.join(
        labels.select(*COMPARISON, label="preference"), on=COMPARISON, how="inner"
    ).select(
        *COMPARISON, said=compute_verdict(pl.col("preference")),
        label=compute_verdict(pl.col("label")),
    ).filter(pl.col("said") != 0).sort(COMPARISON)  # fmt: skip
    agreed = (both["said"] == both["label"]).to_list()
    known = [drawn.get(key) for key in both.select(COMPARISON).iter_rows()]
    estimate = None
    if any(each is not None and each[0] == RANDOM for each in known) and None not in known:
        weights = [1 / each[1] for each in known if each is not None]
        right = [weight for weight, same in zip(weights, agreed, strict=True) if same]
        estimate = sum(right) / sum(weights)
    return Agreement(compared=both.height, agreed=sum(agreed), estimate=estimate)
