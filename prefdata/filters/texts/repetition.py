"""Repetition: texts that say the same words over and over, as a policy that loops does.

The share of word trigrams that stood in the text before, as the repetition rules of MassiveText
(Rae et al., 2021, arXiv 2112.11446, Appendix A.1.1) count duplicate n-grams, by number instead of
by characters.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.filters.base import Texts
from prefdata.filters.texts.base import FlawConfig, Flaws
from prefdata.text.shingles import distinct_counts, shingles


class RepetitionConfig(FlawConfig):
    kind: Literal["repetition"] = "repetition"
    max_repeated: float = Field(0.5, ge=0, lt=1, description="Largest share of repeated trigrams.")
    min_words: int = Field(20, ge=3, description="Shorter texts are not looked at.")


class Repetition(Flaws):
    """See the module."""

    code = "repetitive"
    config: RepetitionConfig

    def flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        grams = shingles(rows["text"])
        count = pl.Series(grams.lengths)
        repeated = 1 - pl.Series(distinct_counts(grams)) / count
        limit = self.config.max_repeated
        says = pl.format(
            "{} of its word trigrams repeat, max_repeated {}", repeated.round(4), pl.lit(limit)
        )
        long_enough = count + 2 >= self.config.min_words
        return rows.select(pl.when(long_enough & (repeated > limit)).then(says)).to_series()
