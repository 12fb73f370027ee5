"""Verifies that a response matches a pattern: that of the settings, or the ground truth."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.patterns import Pattern
from prefdata.judges.checking.verifier import Verifier


class RegexMatchConfig(JudgeConfig):
    kind: Literal["regex_match"] = "regex_match"
    pattern: Pattern | None = Field(
        None,
        description="A regular expression; null: the prompt's ground truth is one.",
        examples=["moon"],
    )
    whole: bool = Field(False, description="The whole response has to match.", examples=[True])
    ignore_case: bool = Field(False, description="Ignore case.", examples=[True])


class RegexMatchJudge(Verifier):
    """Searches the response for a pattern; with `whole` the whole response has to match."""

    config: RegexMatchConfig

    @property
    def by_ground_truth(self) -> bool:
        return self.config.pattern is None

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        config = self.config
        pattern = pl.col("ground_truth") if config.pattern is None else pl.lit(config.pattern)
        before = ("(?i)" if config.ignore_case else "") + (r"\A(?:" if config.whole else "(?:")
        anchored = pl.concat_str(pl.lit(before), pattern, pl.lit(r")\z" if config.whole else ")"))
        # The result is null if the ground truth is not a regular expression.
        matches = responses.select(
            matched=pl.col("text").str.contains(anchored, strict=False), pattern=pattern
        )
        return matches.select(
            reward=pl.col("matched").cast(pl.Float64),
            unscored=pl.when(pl.col("matched").is_null()).then(
                pl.format("bad_pattern: the ground truth {} is no regular expression", "pattern")
            ),
            trace=pl.format(
                "{} {}",
                pl.when("matched").then(pl.lit("matches")).otherwise(pl.lit("does not match")),
                "pattern",
            ),
        )
