"""Verifies that a response holds a pattern: of the settings, or each prompt's ground_truth."""

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
        None, description="A regular expression; not set: the prompt's ground_truth is one."
    )
    whole: bool = Field(False, description="All of the response has to match.")
    ignore_case: bool = False


class RegexMatchJudge(Verifier):
    """See the module."""

    config: RegexMatchConfig

    @property
    def by_ground_truth(self) -> bool:
        return self.config.pattern is None

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        config = self.config
        given = pl.col("ground_truth") if config.pattern is None else pl.lit(config.pattern)
        before = ("(?i)" if config.ignore_case else "") + (r"\A(?:" if config.whole else "(?:")
        whole = pl.concat_str(pl.lit(before), given, pl.lit(r")\z" if config.whole else ")"))
        # Of a ground truth that is no pattern the result is null.
        found = responses.select(
            matched=pl.col("text").str.contains(whole, strict=False), said=given
        )
        none = pl.col("matched").is_null()
        return found.select(
            score=pl.col("matched").cast(pl.Float64),
            unscored=pl.when(none).then(
                pl.format("bad_pattern: the ground truth {} is no regular expression", "said")
            ),
            trace=pl.format(
                "{} {}",
                pl.when("matched").then(pl.lit("matches")).otherwise(pl.lit("does not match")),
                "said",
            ),
        )
