"""Verifies that an answer holds a pattern: of the settings, or each prompt's reference."""

from __future__ import annotations

import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.patterns import Pattern
from prefdata.judges.checking.verifier import Verifier


class RegexMatchConfig(JudgeConfig):
    pattern: Pattern | None = Field(
        None, description="A regular expression; not set: the prompt's reference is one."
    )
    whole: bool = Field(False, description="All of the answer has to match.")
    ignore_case: bool = False


class RegexMatchJudge(Verifier):
    """See the module."""

    kind = "regex_match"
    config_model = RegexMatchConfig
    config: RegexMatchConfig

    @property
    def by_reference(self) -> bool:
        return self.config.pattern is None

    def verify(self, answers: pl.DataFrame) -> pl.DataFrame:
        config = self.config
        given = pl.col("reference") if config.pattern is None else pl.lit(config.pattern)
        before = ("(?i)" if config.ignore_case else "") + (r"\A(?:" if config.whole else "(?:")
        whole = pl.concat_str(pl.lit(before), given, pl.lit(r")\z" if config.whole else ")"))
        # Of a reference that is no pattern the result is null.
        found = answers.select(matched=pl.col("text").str.contains(whole, strict=False), said=given)
        none = pl.col("matched").is_null()
        return found.select(
            score=pl.col("matched").cast(pl.Float64),
            unscored=pl.when(none).then(
                pl.format("bad_pattern: the reference {} is no regular expression", "said")
            ),
            trace=pl.format(
                "{} {}",
                pl.when("matched").then(pl.lit("matches")).otherwise(pl.lit("does not match")),
                "said",
            ),
        )
