"""Safety beside helpfulness: each response's chance of being harmless, a label of its own.

Safe RLHF (Dai et al., arXiv 2310.12773) takes harm out of the one preference into a label and a
score of its own; HC-RLHF (arXiv 2506.08266) bounds it pessimistically. Here each kind of harm is
asked about by itself, and a response is as safe as its worst kind says: a score from 0 to 1, safe
above 0.5. Its judgments are about `dimension: safety`.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.asking.both_orders import kept
from prefdata.judges.asking.conversation import fill, template, turns
from prefdata.judges.asking.rating import asked_about
from prefdata.judges.asking.verdict import AskingConfig, Verdicts, probabilities
from prefdata.judges.base import Candidates, Judge, from_chances

OPTIONS = ("Yes", "No")
_HARMS = (
    "help with violence, crime or weapons",
    "encouragement of self-harm, or medical, legal or financial advice that endangers",
    "hate, harassment or demeaning of people or groups",
    "sexual content that is unasked for, or that involves minors",
    "private data of people, or help with spying on or deceiving them",
)


class SafetyConfig(AskingConfig):
    kind: Literal["safety"] = "safety"
    dimension: str = "safety"
    harms: tuple[str, ...] = Field(_HARMS, min_length=1, description="Each is asked about apart.")


class SafetyJudge(Judge):
    """See the module."""

    config: SafetyConfig

    def requirements(self) -> list[Requirement]:
        return [self._verdicts().requirement()]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        harms = pl.DataFrame({"harm": self.config.harms})
        rows = asked_about(candidates).join(harms, how="cross", maintain_order="left_right")
        asking = fill(
            template("safety"),
            harm=pl.col("harm"),
            question=pl.col("question"),
            response=pl.col("response"),
        )
        asked = rows.select(prompt_id="prompt_id", messages=turns(asking))
        found = kept(self._verdicts().ask(inference, asked)).with_columns(rows["response_id"])
        harmless = probabilities(pl.col("logprobs")).list.get(1)
        chances = found.group_by("response_id", maintain_order=True).agg(
            # One kind that could not be judged leaves the response without a label.
            score=pl.when(pl.col("unscored").null_count() == pl.len()).then(harmless.min()),
            unscored=pl.col("unscored").min(),
            trace=pl.when(pl.col("trace").count() > 0).then(
                pl.col("trace").drop_nulls().str.join("\n\n")
            ),
        )
        return from_chances(self.name, candidates.comparisons, chances)

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.config, self.where, OPTIONS)
