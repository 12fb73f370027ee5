"""Rating responses one by one: with or without something written about the response first."""

from __future__ import annotations

import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement
from prefdata.inference.loop import Inference
from prefdata.judges.asking.both_orders import kept
from prefdata.judges.asking.conversation import fill, template, transcript, turns
from prefdata.judges.asking.delimiters import neutral
from prefdata.judges.asking.rubric import Rubric
from prefdata.judges.asking.steps import Writing, WritingConfig, where_sound
from prefdata.judges.asking.verdict import AskingConfig, Verdicts
from prefdata.judges.base import Candidates, Judge, from_rewards


class RatingConfig(AskingConfig):
    rubric: Rubric = Rubric()
    rating_temperature: float = Field(
        1.0, gt=0, description="Points of the scale that are worth one unit of log-odds."
    )


class WrittenRatingConfig(RatingConfig, WritingConfig):
    pass


def asked_about(candidates: Candidates) -> pl.DataFrame:
    """response_id, prompt_id, question, response: one row a response, its texts neutral."""
    questions = candidates.prompts.select(
        "prompt_id", question=neutral(transcript(pl.col("messages")))
    )
    return candidates.responses.select(
        "response_id", "prompt_id", response=neutral(pl.col("text"))
    ).join(questions, on="prompt_id", how="left", maintain_order="left")


class WrittenRating(Judge):
    """A judge that has its model write about a response, and then asks it for the rating.

    prompts/KIND.txt asks for the text, prompts/KIND_rating.txt for the rating, in the same
    conversation: the rating is read from a turn of its own, never from the text.
    """

    config_model = WrittenRatingConfig
    config: WrittenRatingConfig

    def requirements(self) -> list[Requirement]:
        return [self._writing().requirement(), self._verdicts().requirement()]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        first, second = template(self.kind), template(f"{self.kind}_rating")
        rubric = pl.lit(self.config.rubric.text())
        rows = asked_about(candidates).with_columns(
            asking=fill(
                first, question=pl.col("question"), response=pl.col("response"), criteria=rubric
            ),
            unscored=pl.lit(None, dtype=pl.String),
        )
        written = where_sound(
            rows,
            lambda sound: self._writing().ask(
                inference, sound.select(prompt_id="prompt_id", messages=turns(pl.col("asking")))
            ),
        )
        conversation = turns(
            pl.col("asking"), neutral(pl.col("trace")), fill(second, criteria=rubric)
        )
        rated = where_sound(
            written,
            lambda sound: self._verdicts().ask(
                inference, sound.select(prompt_id="prompt_id", messages=conversation)
            ),
        )
        return rated_judgments(self.name, candidates, rated, self.config)

    def _writing(self) -> Writing:
        return Writing(self.config, self.where)

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.config, self.where, self.config.rubric.options())


def rated_judgments(
    judge: str, candidates: Candidates, rated: pl.DataFrame, config: RatingConfig
) -> pl.DataFrame:
    """Judgments from `rated`: response_id, logprobs (of the ratings), trace, written, unscored."""
    verdicts = kept(rated.select("unscored", "written"))["trace"]
    scores = rated.select(
        "response_id",
        "unscored",
        score=config.rubric.expected(pl.col("logprobs")),
        trace=pl.concat_str(pl.col("trace"), verdicts, separator="\n\n", ignore_nulls=True),
    ).with_columns(trace=pl.when(pl.col("trace") != "").then("trace"))
    return from_rewards(judge, candidates.comparisons, scores, config.rating_temperature)
