"""Verifies that a response matches a pattern: that of the settings, or the ground truth."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.bounded import check_rows
from prefdata.judges.checking.patterns import Pattern, match_pattern
from prefdata.judges.checking.verifier import CHECKED, Verifier
from prefdata.parts.numbers import CpuSeconds


class RegexMatchConfig(JudgeConfig):
    kind: Literal["regex_match"] = "regex_match"
    pattern: Pattern | None = Field(
        None,
        description="A regular expression; null: the prompt's ground truth is one.",
        examples=["moon"],
    )
    whole: bool = Field(False, description="The whole response has to match.", examples=[True])
    ignore_case: bool = Field(False, description="Ignore case.", examples=[True])
    seconds: CpuSeconds = Field(
        2,
        description="CPU seconds for one response and a ground truth; beyond them it is Unscored.",
        examples=[5],
    )


class RegexMatchJudge(Verifier):
    """Searches the response for a pattern; with `whole` the whole response has to match."""

    config: RegexMatchConfig

    @property
    def by_ground_truth(self) -> bool:
        return self.config.pattern is None

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        config = self.config
        before = ("(?i)" if config.ignore_case else "") + (r"\A(?:" if config.whole else "(?:")
        after = r")\z" if config.whole else ")"
        if config.pattern is None:
            # Long repetitions take seconds per response, even by an engine of linear time.
            rows = responses.select("ground_truth", "text").iter_rows()
            return pl.DataFrame(
                check_rows(match_pattern, ((*row, before, after) for row in rows), config.seconds),
                schema=CHECKED,
                orient="row",
            )
        matched = pl.col("text").str.contains(before + config.pattern + after)
        says = pl.when(matched).then(pl.lit("matches")).otherwise(pl.lit("does not match"))
        return responses.select(
            reward=matched.cast(pl.Float64),
            unscored=pl.lit(None, dtype=pl.String),
            trace=pl.format("{} {}", says, pl.lit(config.pattern)),
        )
