"""Refusals: responses that decline the request instead of meeting it."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field, field_validator

from prefdata.filters.base import Texts
from prefdata.filters.texts.base import TextFilter, TextFilterConfig

_CANNOT = (
    r"(?:can(?:no|['’])?t|can not|could not|couldn['’]t|won['’]t|will not|"
    r"am (?:un|not )able to|['’]m (?:un|not )able to|"
    r"am not (?:comfortable|going to|programmed|designed|permitted|allowed)|"
    r"['’]m not (?:comfortable|going to|programmed|designed|permitted|allowed)|"
    r"do not feel comfortable|don['’]t feel comfortable|must decline|have to decline|"
    r"must respectfully decline)"
)
_DOING = (
    r"(?:help|assist|provid|fulfil|compl|answer|discuss|support|creat|writ|generat|giv|shar|offer|"
    r"participat|engag|do that|do this|in good conscience|respond|recommend|encourag|condon|"
    r"continu|your request|this request)\w*"
)
PHRASES = (
    rf"(?i)\bI {_CANNOT}\b(?:\W+\w+){{0,4}}?\W+{_DOING}",
    rf"(?i)\bI{_CANNOT}\b(?:\W+\w+){{0,4}}?\W+{_DOING}",
    r"(?i)\b(?:I must|I have to|I['’]d have to|I respectfully) decline\b",
    r"(?i)\bagainst my (?:programming|guidelines|principles|ethical)",
    r"(?i)\bas an AI\b[^.!?]{0,80}?\b"
    r"(?:can(?:no|['’])?t|unable|not able|not (?:capable|programmed))",
    r"(?i)^\W*(?:I['’]m |I am )?(?:very |so |truly )?sorry,? (?:but )?"
    r"(?:that['’]?s|this is|it['’]s) (?:not something|something I)",
)
"""Regular expressions of polars (Rust)."""


class RefusalsConfig(TextFilterConfig):
    kind: Literal["refusals"] = "refusals"
    within: int = Field(
        200, gt=0, description="Number of leading characters to search.", examples=[9]
    )
    phrases: list[str] = Field(
        [], description="More regular expressions (Rust) of refusals.", examples=[["zzz"]]
    )

    @field_validator("phrases")
    @classmethod
    def _check_phrases(cls, phrases: list[str]) -> list[str]:
        for phrase in phrases:
            try:
                pl.Series([""]).str.contains(phrase, strict=True)
            except pl.exceptions.ComputeError as error:
                raise ValueError(f"{phrase!r} is no regular expression: {error}") from error
        return phrases


class Refusals(TextFilter):
    """Drops refusals, by their words in English: an apology or "as an AI" with a "can't" or "won't"
    near the start of the text.

    A response that refuses in other words, or in another language, is not found; `phrases` adds
    regular expressions. Where refusing is what the data should teach, leave this filter out.
    """

    code = "refusal"
    config: RefusalsConfig

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        start = pl.col("text").str.slice(0, self.config.within)
        matches = [
            start.str.extract(f"({phrase})", 1) for phrase in (*PHRASES, *self.config.phrases)
        ]
        match = pl.coalesce(matches)
        flaw = pl.format('refuses: "{}"', match)
        return rows.select(pl.when(match.is_not_null()).then(flaw)).to_series()
