"""The policy, or any model, as pairwise judge: which of two responses is better, in both orders.

LLM-as-a-judge (Zheng et al., arXiv 2306.05685) without text to parse where the engine gives
logits: P(A) and P(B) come from the next-token distribution, so there is no format to get wrong.
Elsewhere the letter is a structured output (verdict.py). Each comparison is asked in both orders:
a liking for the first place cancels.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.engines.base import Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.asking.both_orders import OPTIONS, from_both_orders, in_both_orders, kept
from prefdata.judges.asking.conversation import fill, template, turns
from prefdata.judges.asking.demonstrations import after
from prefdata.judges.asking.verdict import AskingConfig, Verdicts, as_said, said_how
from prefdata.judges.base import Candidates, Judge


class PairwiseConfig(AskingConfig):
    """Nothing beside the model and how its verdict is read."""

    kind: Literal["pairwise"] = "pairwise"


class PairwiseJudge(Judge):
    """See the module."""

    config: PairwiseConfig
    takes_demonstrations = True

    def requirements(self) -> list[Requirement]:
        return [self._verdicts().requirement()]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        asking = fill(
            template("pairwise"),
            question=pl.col("question"),
            response_a=pl.col("first"),
            response_b=pl.col("second"),
        )
        rows = in_both_orders(candidates).select(prompt_id="prompt_id", messages=turns(asking))
        verdicts = self._verdicts()
        if candidates.demonstrations is not None:
            way = verdicts.way(inference)
            rows = after(
                candidates.demonstrations,
                rows,
                lambda shown: said_how(
                    shown.select(messages=turns(asking)), way, ", ".join(OPTIONS)
                ),
                {letter: as_said(way, [letter]) for letter in OPTIONS},
            )
        found = kept(verdicts.ask(inference, rows))
        return from_both_orders(self.name, candidates, found)

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.config, self.where, OPTIONS)
