"""Verifies that a response reads as the prompt's ground truth does, word for word."""

from __future__ import annotations

from typing import Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.patterns import Pattern
from prefdata.judges.checking.verifier import Verifier


class ExactMatchConfig(JudgeConfig):
    kind: Literal["exact_match"] = "exact_match"
    extract: Pattern | None = Field(
        None,
        description="A regular expression; its first group, or all of it, is what is compared. "
        "Where it is not found the response is wrong.",
        examples=["moon"],
    )
    ignore_case: bool = Field(True, description="Compare letters in any case.", examples=[False])
    ignore_punctuation: bool = Field(
        True, description="Overlook punctuation, symbols and blanks alike.", examples=[False]
    )


class ExactMatchJudge(Verifier):
    """Compares response and ground truth, which may be a JSON list of texts that are all right."""

    config: ExactMatchConfig

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        ground_truths = responses["ground_truth"].unique(maintain_order=True)
        accepted = pl.DataFrame(
            {
                "ground_truth": ground_truths,
                "accepted": [_parse_accepted(text) for text in ground_truths],
            },
            schema={"ground_truth": pl.String, "accepted": pl.List(pl.String)},
        )
        part = pl.col("text")
        if self.config.extract is not None:
            groups = pl.Series([""]).str.extract_groups(self.config.extract).struct.fields
            group = 1 if groups else 0
            part = part.str.extract(self.config.extract, group)
        compared = (
            responses.join(accepted, on="ground_truth", how="left", maintain_order="left")
            .with_columns(
                given=self._normalise(part),
                wanted=pl.col("accepted").list.eval(self._normalise(pl.element())),
            )
            .with_columns(reward=pl.col("given").is_in("wanted").fill_null(False).cast(pl.Float64))
        )
        return compared.select(
            "reward",
            unscored=pl.lit(None, dtype=pl.String),
            trace=pl.format(
                "{}, expected {}",
                pl.coalesce(part.str.head(80), pl.lit("nothing to compare")),
                pl.col("accepted").list.join(" or ").str.head(80),
            ),
        )

    def _normalise(self, text: pl.Expr) -> pl.Expr:
        """The text without what is overlooked, or whole where nothing else is in it."""
        whole = text.str.normalize("NFC")
        if self.config.ignore_case:
            whole = whole.str.to_lowercase()
        bare = whole
        if self.config.ignore_punctuation:
            bare = whole.str.replace_all(r"[\p{P}\p{S}\s]+", " ")
        bare = bare.str.strip_chars()
        return pl.when(bare == "").then(whole.str.strip_chars()).otherwise(bare)


def _parse_accepted(ground_truth: str) -> list[str]:
    if ground_truth.startswith("["):
        try:
            found = orjson.loads(ground_truth)
        except orjson.JSONDecodeError:
            return [ground_truth]
        if found and all(isinstance(text, str) for text in found):
            return list(found)
    return [ground_truth]
