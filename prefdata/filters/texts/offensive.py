"""Offensive language."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.filters.base import Texts
from prefdata.filters.texts.base import TextFilter, TextFilterConfig
from prefdata.parts.numbers import Real


class OffensiveConfig(TextFilterConfig):
    kind: Literal["offensive"] = "offensive"
    max_probability: Real = Field(
        0.8, ge=0, lt=1, description="Largest probability of being offensive.", examples=[0.99]
    )


class Offensive(TextFilter):
    """Drops texts with offensive words, by alt-profanity-check (the extra `safety`): a linear model
    over words whose weights are part of the package.

    It knows English insults and swear words. It does not judge what a text says: politely worded
    harm passes, and quoted or harmless slang may not. For that ask a model as a judge.
    """

    code = "offensive"
    config: OffensiveConfig

    def setup(self) -> None:
        try:
            import profanity_check  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                f"{self.where}: the filter offensive needs alt-profanity-check",
                "Install the extra: pip install prefdata[safety]",
            ) from error

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        from profanity_check import predict_prob

        if not rows.height:
            return pl.Series([], dtype=pl.String)
        probability = pl.Series(predict_prob(rows["text"].to_list()))
        limit = self.config.max_probability
        flaw = pl.format(
            "offensive with probability {}, max_probability {}",
            probability.round(4),
            pl.lit(limit),
        )
        return rows.select(pl.when(probability > limit).then(flaw)).to_series()
