"""Judges that check answers instead of asking a model about them."""

from __future__ import annotations

from abc import abstractmethod

import polars as pl

from prefdata.engines.base import Wanted
from prefdata.inference.loop import Inference
from prefdata.judges.asking.verdict import own_text
from prefdata.judges.base import Candidates, Judge, from_chances

SHOWN_CHARS = 80

CHECKED = {"score": pl.Float64, "unscored": pl.String, "trace": pl.String}
"""What `verify` returns."""


class Verifier(Judge):
    """Scores an answer by how far it passes, from 0 to 1; a pass beats a failure with certainty."""

    @property
    def by_reference(self) -> bool:
        """Whether answers are checked against their prompt's reference; where a prompt has none
        they are Unscored then."""
        return True

    def needs(self) -> list[Wanted]:
        return []

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        prompts = candidates.prompts
        if "reference" not in prompts.columns:
            prompts = prompts.with_columns(reference=pl.lit(None, dtype=pl.String))
        answers = candidates.responses.select(
            "response_id", "prompt_id", "finished", text=own_text(pl.col("text"))
        ).join(prompts.select("prompt_id", "reference"), on="prompt_id", how="left")
        checkable = pl.col("reference").is_not_null() if self.by_reference else pl.lit(True)
        some = answers.filter(checkable)
        checked = pl.concat([some.select("response_id"), self.verify(some)], how="horizontal")
        none = answers.filter(~checkable).select(
            "response_id",
            score=pl.lit(None, dtype=pl.Float64),
            unscored=pl.lit(
                "no_reference: the prompt has none to check answers against; see "
                "ingest.sources.N.reference_field"
            ),
            trace=pl.lit(None, dtype=pl.String),
        )
        return from_chances(self.name, candidates.comparisons, pl.concat([checked, none]))

    @abstractmethod
    def verify(self, answers: pl.DataFrame) -> pl.DataFrame:
        """score (0 to 1, null where unscored), unscored, trace: one row an answer, in order.

        `answers`: response_id, prompt_id, text (without thoughts), finished, reference.
        """


def shown(text: str) -> str:
    """The text for a message, shortened."""
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")
