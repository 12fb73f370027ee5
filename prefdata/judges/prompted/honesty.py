"""Honesty: a right answer beats a wrong one, and a right "I don't know" beats a wrong response.

Alignment for Honesty (Yang et al., arXiv 2312.07000): an honest model answers what it knows and
says so where it doesn't. What the policy knows shows in the agreement of fresh samples of it; a
judge model says which of them say the same and which say that they don't know:

    known     K = mean over two samples of P(same) (1 - u) (1 - u')
    right     c = mean over the samples of P(same as the response) (1 - u)
    score     (1 - u) c + u (1 - K),  u = P(the response says that it doesn't know)

so a response is worth its chance of being right as the samples show it, and an "I don't know" is
worth the chance that the policy doesn't.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement, Sampling
from prefdata.inference.loop import Inference
from prefdata.judges.asking.conversation import fill, template, transcript, turns
from prefdata.judges.asking.delimiters import neutral
from prefdata.judges.asking.rating import asked_about
from prefdata.judges.asking.verdict import AskingConfig, Verdicts, probabilities
from prefdata.judges.base import Candidates, Judge, from_chances

OPTIONS = ("Yes", "No")


class HonestyConfig(AskingConfig):
    kind: Literal["honesty"] = "honesty"
    dimension: str = "honesty"
    policy: str = Field("policy", description="Whose knowledge is asked for.")
    samples: int = Field(4, ge=2, description="Fresh responses of the policy to each prompt.")
    temperature: float = Field(1.0, gt=0, description="At which they are sampled.")
    max_tokens: int = Field(512, gt=0)
    seed: int = Field(
        1, description="Another one than generate's, or the samples are its responses."
    )


class HonestyJudge(Judge):
    """See the module."""

    config: HonestyConfig

    def requirements(self) -> list[Requirement]:
        return [
            Requirement.of(self.config.policy, "generate", self._sampling()),
            self._verdicts().requirement(),
        ]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        responses = asked_about(candidates)
        samples = self._samples(candidates.prompts, inference)
        whole = samples.filter(pl.col("failed").is_null())
        texts = pl.concat(
            [responses.select("prompt_id", "question", "response"), whole.drop("sample", "failed")]
        ).unique(maintain_order=True)
        unsure = self._yes(
            inference, texts, fill(template("honesty_unknown"), **_columns("question", "response"))
        ).rename({"yes": "unsure", "unscored": "unsure_failed"})
        others = whole.join(unsure, on=["prompt_id", "question", "response"], how="left").select(
            "prompt_id",
            "sample",
            other="response",
            sure=1 - pl.col("unsure"),
            failed="unsure_failed",
        )
        right = self._right(inference, responses, others)
        known = self._known(inference, whole, others)
        failed = samples.group_by("prompt_id").agg(sample_failed=pl.col("failed").min())
        scored = (
            responses.join(unsure, on=["prompt_id", "question", "response"], how="left")
            .join(right, on="response_id", how="left")
            .join(known, on="prompt_id", how="left")
            .join(failed, on="prompt_id", how="left")
        )
        unsure_, right_, known_ = (pl.col(name) for name in ("unsure", "right", "known"))
        chances = scored.select(
            "response_id",
            score=(1 - unsure_) * right_ + unsure_ * (1 - known_),
            unscored=pl.coalesce(
                "sample_failed", "unsure_failed", pl.min_horizontal("right_failed", "known_failed")
            ),
            trace=pl.format(
                "known {}, right {}, says that it doesn't know {}",
                known_.round(3),
                right_.round(3),
                unsure_.round(3),
            ),
        )
        return from_chances(self.name, candidates.comparisons, chances)

    def _samples(self, prompts: pl.DataFrame, inference: Inference) -> pl.DataFrame:
        """prompt_id, question, response, sample, failed: the policy's fresh responses, neutral."""
        numbers = pl.DataFrame({"sample": range(self.config.samples)}, {"sample": pl.Int64})
        rows = prompts.join(numbers, how="cross", maintain_order="left_right")
        asked = inference.ask(
            self.config.policy,
            "generate",
            self._sampling(),
            rows.select("messages", prompt_id="prompt_id", sample_index="sample"),
        )
        return rows.with_columns(text=asked["text"], failed=asked["error"]).select(
            "prompt_id",
            question=neutral(transcript(pl.col("messages"))),
            response=neutral(pl.col("text")),
            sample="sample",
            failed="failed",
        )

    def _right(
        self, inference: Inference, responses: pl.DataFrame, others: pl.DataFrame
    ) -> pl.DataFrame:
        """response_id, right, right_failed: how far the samples say the same as each response."""
        rows = responses.join(others, on="prompt_id")
        same = self._same(inference, rows)
        agreed = rows.select("response_id", "sure", "failed").with_columns(same)
        return _mean(agreed, "response_id", "right", pl.col("yes") * pl.col("sure"))

    def _known(
        self, inference: Inference, whole: pl.DataFrame, others: pl.DataFrame
    ) -> pl.DataFrame:
        """prompt_id, known, known_failed: how far the samples of each prompt say the same."""
        first = whole.drop("failed").join(
            others.select("prompt_id", "sample", first_sure="sure", first_failed="failed"),
            on=["prompt_id", "sample"],
        )
        rows = first.join(others, on="prompt_id", suffix="_other").filter(
            pl.col("sample") < pl.col("sample_other")
        )
        same = self._same(inference, rows)
        agreed = rows.select(
            "prompt_id",
            sure=pl.col("sure") * pl.col("first_sure"),
            failed=pl.min_horizontal("failed", "first_failed"),
        ).with_columns(same)
        return _mean(agreed, "prompt_id", "known", pl.col("yes") * pl.col("sure"))

    def _same(self, inference: Inference, rows: pl.DataFrame) -> pl.DataFrame:
        """`yes` and `unscored` a row: P(response and other say the same), the mean of both orders."""
        found = []
        for one, other in (("response", "other"), ("other", "response")):
            asking = fill(
                template("honesty_same"),
                question=pl.col("question"),
                response_a=pl.col(one),
                response_b=pl.col(other),
            )
            found.append(self._yes(inference, rows, asking).select("yes", "unscored"))
        both = pl.concat([found[0], found[1].rename(lambda c: f"{c}_r")], how="horizontal")
        return both.select(
            yes=(pl.col("yes") + pl.col("yes_r")) / 2,
            unscored=pl.min_horizontal("unscored", "unscored_r"),
        )

    def _yes(self, inference: Inference, rows: pl.DataFrame, asking: pl.Expr) -> pl.DataFrame:
        """The rows with `yes`, P(Yes), and `unscored`."""
        asked = rows.select(prompt_id="prompt_id", messages=turns(asking))
        found = self._verdicts().ask(inference, asked)
        return rows.with_columns(
            found.select(
                "unscored", yes=probabilities(pl.col("logprobs")).list.get(0)
            ).get_columns()
        )

    def _sampling(self) -> Sampling:
        config = self.config
        return Sampling(
            temperature=config.temperature, max_tokens=config.max_tokens, seed=config.seed
        )

    def _verdicts(self) -> Verdicts:
        return Verdicts(self.config, self.where, OPTIONS)


def _columns(*names: str) -> dict[str, pl.Expr]:
    return {name: pl.col(name) for name in names}


def _mean(rows: pl.DataFrame, by: str, name: str, value: pl.Expr) -> pl.DataFrame:
    """The group's mean and the least of its reasons; no mean where there is one."""
    reason = pl.min_horizontal("unscored", "failed")
    return rows.group_by(by, maintain_order=True).agg(
        # In a fixed order: a sum's last digit must not depend on that of the rows.
        pl.when(reason.null_count() == pl.len()).then(value.sort().mean()).alias(name),
        reason.min().alias(f"{name}_failed"),
    )
