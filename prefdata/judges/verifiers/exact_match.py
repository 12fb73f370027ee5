"""Verifies that an answer says what the prompt's reference says, word for word.

A reference that is a JSON list of texts accepts each of them.
"""

from __future__ import annotations

import orjson
import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.patterns import Pattern
from prefdata.judges.checking.verifier import Verifier


class ExactMatchConfig(JudgeConfig):
    extract: Pattern | None = Field(
        None,
        description="A regular expression; its first group, or all of it, is what is compared. "
        "Where it is not found the answer is wrong.",
    )
    ignore_case: bool = True
    ignore_punctuation: bool = Field(True, description="Punctuation, symbols and blanks at once.")


class ExactMatchJudge(Verifier):
    """See the module."""

    kind = "exact_match"
    config_model = ExactMatchConfig
    config: ExactMatchConfig

    def verify(self, answers: pl.DataFrame) -> pl.DataFrame:
        references = answers["reference"].unique(maintain_order=True)
        accepted = pl.DataFrame(
            {"reference": references, "accepted": [_accepted(text) for text in references]},
            schema={"reference": pl.String, "accepted": pl.List(pl.String)},
        )
        part = pl.col("text")
        if self.config.extract is not None:
            groups = pl.Series([""]).str.extract_groups(self.config.extract).struct.fields
            group = 1 if groups else 0
            part = part.str.extract(self.config.extract, group)
        compared = (
            answers.join(accepted, on="reference", how="left", maintain_order="left")
            .with_columns(
                said=self._alike(part),
                wanted=pl.col("accepted").list.eval(self._alike(pl.element())),
            )
            .with_columns(score=pl.col("said").is_in("wanted").fill_null(False).cast(pl.Float64))
        )
        return compared.select(
            "score",
            unscored=pl.lit(None, dtype=pl.String),
            trace=pl.format(
                "{}, expected {}",
                pl.coalesce(part.str.head(80), pl.lit("nothing to compare")),
                pl.col("accepted").list.join(" or ").str.head(80),
            ),
        )

    def _alike(self, text: pl.Expr) -> pl.Expr:
        """The text without what is overlooked; what is nothing else stays as it is."""
        whole = text.str.normalize("NFC")
        if self.config.ignore_case:
            whole = whole.str.to_lowercase()
        bare = whole
        if self.config.ignore_punctuation:
            bare = whole.str.replace_all(r"[\p{P}\p{S}\s]+", " ")
        bare = bare.str.strip_chars()
        return pl.when(bare == "").then(whole.str.strip_chars()).otherwise(bare)


def _accepted(reference: str) -> list[str]:
    if reference.startswith("["):
        try:
            found = orjson.loads(reference)
        except orjson.JSONDecodeError:
            return [reference]
        if found and all(isinstance(text, str) for text in found):
            return list(found)
    return [reference]
