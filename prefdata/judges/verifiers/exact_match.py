"""Verifies that a response is the same text as the prompt's ground truth."""

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
        description="A regular expression; only its first group (or the whole match, if it has no "
        "group) is compared. A response without a match is wrong.",
        examples=["moon"],
    )
    ignore_case: bool = Field(True, description="Ignore case.", examples=[False])
    ignore_punctuation: bool = Field(
        True, description="Ignore punctuation, symbols and blanks.", examples=[False]
    )


class ExactMatchJudge(Verifier):
    """Compares the response with the ground truth, which may be a JSON list of accepted texts."""

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
                actual=self._normalise(part),
                wanted=pl.col("accepted").list.eval(self._normalise(pl.element())),
            )
            .with_columns(reward=pl.col("actual").is_in("wanted").fill_null(False).cast(pl.Float64))
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
        """The text without what is ignored, or the whole text if nothing else would be left."""
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
            texts = orjson.loads(ground_truth)
        except orjson.JSONDecodeError:
            return [ground_truth]
        if texts and all(isinstance(text, str) for text in texts):
            return list(texts)
    return [ground_truth]
