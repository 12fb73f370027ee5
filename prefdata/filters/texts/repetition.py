"""Repetition within a text, as by a policy that is stuck in a loop."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.filters.base import Texts
from prefdata.filters.texts.base import TextFilter, TextFilterConfig
from prefdata.parts.numbers import Real, Whole
from prefdata.text.shingles import count_distinct, shingles


class RepetitionConfig(TextFilterConfig):
    kind: Literal["repetition"] = "repetition"
    max_repeated: Real = Field(
        0.5, ge=0, lt=1, description="Largest share of repeated trigrams.", examples=[0.99]
    )
    min_words: Whole = Field(
        20, ge=3, le=1_000_000, description="Texts of fewer words pass.", examples=[9]
    )


class Repetition(TextFilter):
    """Drops texts that say the same words over and over.

    It limits the share of word trigrams that occurred before in the text, as the repetition rules
    of MassiveText (Rae et al., 2021, arXiv 2112.11446, Appendix A.1.1) count duplicate n-grams, by
    number instead of by characters.
    """

    code = "repetitive"
    config: RepetitionConfig

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        grams = shingles(rows["text"])
        count = pl.Series(grams.lengths)
        repeated = 1 - pl.Series(count_distinct(grams)) / count
        limit = self.config.max_repeated
        flaw = pl.format(
            "{} of its word trigrams repeat, max_repeated {}", repeated.round(4), pl.lit(limit)
        )
        long_enough = count + 2 >= self.config.min_words
        return rows.select(pl.when(long_enough & (repeated > limit)).then(flaw)).to_series()
