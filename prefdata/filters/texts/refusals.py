"""Refusals: responses that decline the request instead of meeting it."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field, field_validator

from prefdata.filters.base import Texts
from prefdata.filters.texts.base import TextFilter, TextFilterConfig
from prefdata.parts.numbers import Count

_CANNOT = (
    r"(?:can(?:no|['’])?t|can not|could not|couldn['’]t|won['’]t|will not|"
    r"am (?:un|not )able to|['’]m (?:un|not )able to|"
    r"am not (?:comfortable|going to|programmed|designed|permitted|allowed)|"
    r"['’]m not (?:comfortable|going to|programmed|designed|permitted|allowed)|"
    r"do not feel comfortable|don['’]t feel comfortable|don['’]t think I should|must decline|"
    r"have to decline|must respectfully decline)"
)
_DOING = (
    r"(?:help|assist|provid|fulfil|compl|answer|discuss|support|creat|writ|generat|giv|shar|offer|"
    r"participat|engag|do (?:that|this|it)\b|in good conscience|respond|recommend|encourag|condon|"
    r"continu|your request|this request)\w*"
)
PHRASES = (
    rf"(?i)\bI {_CANNOT}\b(?:\W+\w+){{0,4}}?\W+{_DOING}",
    rf"(?i)\bI{_CANNOT}\b(?:\W+\w+){{0,4}}?\W+{_DOING}",
    r"(?i)\b(?:I must|I have to|I['’]d have to|I respectfully) (?:decline|refuse)\b",
    r"(?i)\bI (?:refuse to|would rather not)\b",
    r"(?i)\bI['’]d rather not\b",
    r"(?i)\bagainst my (?:programming|guidelines|principles|ethical)",
    r"(?i)\bmy (?:guidelines|programming|principles) (?:do not|don['’]t|prevent|prohibit|forbid)",
    r"(?i)\b(?:inappropriate|irresponsible|unethical|wrong) (?:for|of) me to\b",
    r"(?i)\bas an AI\b[^.!?]{0,80}?\b"
    r"(?:can(?:no|['’])?t|unable|not able|not (?:capable|programmed))",
    r"(?i)^\W*(?:I['’]m |I am )?(?:very |so |truly )?sorry,? (?:but )?"
    r"(?:that['’]?s|this is|it['’]s) (?:not something|something I)",
    r"(?i)^\W*sorry,? (?:but )?no\b",
)
"""Regular expressions of polars (Rust)."""

_HARMLESS = (
    # "I cannot recommend this highly enough", "I couldn't help but smile", "I can't wait to help"
    r"(?i)\b(?:can(?:no|['’])?t|could ?n(?:o|['’])t|can not)\b[^.!?]{0,60}?\benough\b|"
    r"(?i)\b(?:can(?:no|['’])?t|could ?n(?:o|['’])t|can not)\s+(?:agree more|wait to|"
    r"help (?:but|\w+ing)\b)|"
    r"(?i)\bI must decline (?:your|the) \w+ with"
)
_QUOTED = r"[\"“][^\"“”]*(?:[\"”]|\z)|(?:^|[\s(:])['‘][^'‘’]*['’](?:$|[\s.,;:!?)])"
"""Speech that the text only quotes; an apostrophe within a word opens none."""


class RefusalsConfig(TextFilterConfig):
    kind: Literal["refusals"] = "refusals"
    within: Count = Field(200, description="Number of leading characters to search.", examples=[9])
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
    regular expressions. What the text only quotes is no refusal. Where refusing is what the data
    should teach, leave this filter out.

    Measured on 52 labelled texts: precision 0.93, recall 1.00. Phrases and texts were written with
    each other in view: expect less of data in the wild.
    """

    code = "refusal"
    config: RefusalsConfig

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        start = (
            pl.col("text")
            .str.slice(0, self.config.within)
            .str.replace_all(_QUOTED, " ")
            .str.replace_all(_HARMLESS, " ")
        )
        matches = [
            start.str.extract(f"({phrase})", 1) for phrase in (*PHRASES, *self.config.phrases)
        ]
        match = pl.coalesce(matches)
        flaw = pl.format('refuses: "{}"', match)
        return rows.select(pl.when(match.is_not_null()).then(flaw)).to_series()
