"""A reasoning judge: a rubric or a solution first, then the comparison, then the verdict.

RM-R1 (Chen et al., arXiv 2505.02387): for chat the judge writes a rubric for the
question, for questions with a right answer it solves them, and weighs both responses against that.
The rubric is written from the question alone, so no response has a say in it, and once a prompt. Both
orders are compared, each in a text of its own; all of it is kept as the trace.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.asking.both_orders import OPTIONS, from_both_orders, in_both_orders, kept
from prefdata.judges.asking.conversation import fill, template, transcript, turns
from prefdata.judges.asking.delimiters import neutral
from prefdata.judges.asking.steps import Writing, WritingConfig, where_sound
from prefdata.judges.asking.verdict import Verdicts
from prefdata.judges.base import Candidates, Judge


class ReasoningConfig(WritingConfig):
    kind: Literal["reasoning"] = "reasoning"
    first: Literal["rubric", "solution"] = Field(
        "rubric",
        description="What it writes of the question: solution, where one response is right.",
    )


class ReasoningJudge(Judge):
    """See the module."""

    config: ReasoningConfig

    def requirements(self) -> list[Requirement]:
        return [self._writing().requirement(), self._verdicts().requirement()]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        compared = in_both_orders(candidates).join(
            self._guides(candidates, inference),
            on="prompt_id",
            how="left",
            maintain_order="left",
        )
        asking = fill(
            template("reasoning"),
            question=pl.col("question"),
            guide=neutral(pl.col("guide")),
            title=pl.lit(self.config.first.capitalize()),
            response_a=pl.col("first"),
            response_b=pl.col("second"),
        )
        weighed = where_sound(
            compared.with_columns(asking=asking),
            lambda sound: self._writing().ask(
                inference, sound.select(prompt_id="prompt_id", messages=turns(pl.col("asking")))
            ),
        )
        conversation = turns(
            pl.col("asking"), neutral(pl.col("trace")), pl.lit(template("reasoning_verdict"))
        )
        found = where_sound(
            weighed,
            lambda sound: self._verdicts().ask(
                inference, sound.select(prompt_id="prompt_id", messages=conversation)
            ),
        )
        said = kept(found.select("unscored", "written"))["trace"]
        written = pl.concat_str("guide", "trace", said, separator="\n\n", ignore_nulls=True)
        trace = pl.when(written != "").then(written)
        result = found.select("logprobs", "unscored", trace=trace)
        return from_both_orders(self.name, candidates, result)

    def _guides(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        """prompt_id, guide (the rubric or solution), unscored: one row a prompt."""
        question = neutral(transcript(pl.col("messages")))
        asking = fill(template(f"reasoning_{self.config.first}"), question=question)
        rows = candidates.prompts.select(prompt_id="prompt_id", messages=turns(asking))
        found = self._writing().ask(inference, rows)
        return rows.select(prompt_id="place").with_columns(
            guide=found["trace"], unscored=found["unscored"]
        )

    def _writing(self) -> Writing:
        return Writing(self.config, self.where)

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.config, self.where, OPTIONS)
