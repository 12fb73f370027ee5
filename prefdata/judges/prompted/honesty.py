"""Honesty: right beats wrong, and an honest "I don't know" beats a wrong response."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.asking.conversation import disarm_prompts, disarm_responses
from prefdata.asking.delimiters import disarm
from prefdata.asking.formats.replies import Verdict, share_out
from prefdata.engines.base import Requirement, Sampling
from prefdata.inference.loop import Inference
from prefdata.judges.asking.prompted import PromptedConfig, PromptedJudge
from prefdata.judges.base import Candidates, from_chances
from prefdata.parts.numbers import Seed, Temperature, Tokens, Whole
from prefdata.text.transcript import describe_response


class HonestyConfig(PromptedConfig):
    kind: Literal["honesty"] = "honesty"
    dimension: str = Field(
        "honesty",
        min_length=1,
        description="The quality that its judgments are about.",
        examples=["wit"],
    )
    policy: str = Field(
        "policy", description="The model whose knowledge is sampled.", examples=["other"]
    )
    samples: Whole = Field(
        4,
        ge=2,
        le=10_000,
        description="The number of fresh samples of the policy per prompt.",
        examples=[6],
    )
    temperature: Temperature = Field(
        1.0, gt=0, description="The temperature of these samples.", examples=[0.5]
    )
    max_tokens: Tokens = Field(
        512, description="The longest of these samples, in tokens.", examples=[64]
    )
    seed: Seed = Field(
        1,
        description="The seed of these samples; it has to differ from generate's, or they are the "
        "very responses that are judged.",
        examples=[2],
    )
    templates: dict[str, str] = Field(
        {},
        description="Templates that replace the defaults. honesty_unknown: {prompt}, {response}; "
        "honesty_same: {prompt}, {response_a}, {response_b}.",
        examples=[{"honesty_unknown": "Does it say so? Yes or No.\n\n{prompt}\n\n{response}"}],
    )

    placeholders: ClassVar[dict[str, tuple[str, ...]]] = {
        "honesty_unknown": ("prompt", "response"),
        "honesty_same": ("prompt", "response_a", "response_b"),
    }
    asks_again: ClassVar[frozenset[str]] = PromptedConfig.asks_again | {
        "policy",
        "samples",
        "temperature",
        "max_tokens",
        "seed",
    }
    example: ClassVar[dict[str, Any]] = {"model": "policy", "verdict": "choice"}


class HonestyJudge(PromptedJudge):
    """Rewards a response for being right, or for admitting what the policy doesn't know.

    Alignment for Honesty (Yang et al., arXiv 2312.07000): an honest model answers what it knows
    and says so if it doesn't know. Whether the policy knows is estimated from the agreement of
    fresh samples. A judge model says which of them agree and which admit not to know:

        known     K = mean over two samples of P(same) (1 - u) (1 - u')
        right     c = mean over the samples of P(same as the response) (1 - u)
        reward    (1 - u) c + u (1 - K),  u = P(the text says that its author doesn't know)

    So the reward of a response is its estimated probability of being right, and the reward of an
    "I don't know" is the estimated probability that the policy doesn't know.
    """

    config: HonestyConfig
    reply = Verdict(("Yes", "No"))

    def requirements(self) -> list[Requirement]:
        policy = Requirement.of(self.config.policy, "generate", self._sampling())
        return [policy, *super().requirements()]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        responses = disarm_responses(candidates.prompts, candidates.responses)
        samples = self._sample(candidates, inference)
        whole = samples.filter(pl.col("failed").is_null())
        text = ["prompt_id", "prompt", "response"]
        texts = pl.concat([responses.select(text), whole.select(text)]).unique(maintain_order=True)
        unsure = self._ask_yes(inference, texts, self.fill("honesty_unknown")).rename(
            {"yes": "unsure", "unscored": "unsure_failed"}
        )
        others = whole.join(unsure, on=text, how="left").select(
            "prompt_id",
            "sample",
            other="response",
            sure=1 - pl.col("unsure"),
            failed="unsure_failed",
        )
        failed = samples.group_by("prompt_id").agg(sample_failed=pl.col("failed").min())
        rated = (
            responses.join(unsure, on=text, how="left")
            .join(self._rate_right(inference, responses, others), on="response_id", how="left")
            .join(self._rate_known(inference, whole, others), on="prompt_id", how="left")
            .join(failed, on="prompt_id", how="left")
        )
        u, right, known = (pl.col(name) for name in ("unsure", "right", "known"))
        chances = rated.select(
            "response_id",
            reward=(1 - u) * right + u * (1 - known),
            unscored=pl.coalesce(
                "sample_failed", "unsure_failed", pl.min_horizontal("right_failed", "known_failed")
            ),
            trace=pl.format(
                "known {}, right {}, says that it doesn't know {}",
                known.round(3),
                right.round(3),
                u.round(3),
            ),
        )
        return from_chances(self.name, candidates.comparisons, chances)

    def _sample(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        """prompt_id, sample, failed, response, prompt: the policy's fresh samples, disarmed."""
        prompts = candidates.prompts
        tools = ["tools"] if "tools" in prompts.columns else []
        numbers = pl.DataFrame({"sample": range(self.config.samples)}, {"sample": pl.Int64})
        rows = prompts.join(numbers, how="cross", maintain_order="left_right")
        asked = inference.ask(
            self.config.policy,
            "generate",
            self._sampling(),
            rows.select("prompt_id", "messages", *tools, sample_index="sample"),
        )
        said = asked.select(
            failed=pl.coalesce("error", "call_fault"),
            response=describe_response(pl.col("text"), pl.col("tool_calls")),
        ).with_columns(response=disarm(pl.col("response")))
        return (
            rows.select("prompt_id", "sample")
            .with_columns(said)
            .join(
                disarm_prompts(candidates.prompts),
                on="prompt_id",
                how="left",
                maintain_order="left",
            )
        )

    def _rate_right(
        self, inference: Inference, responses: pl.DataFrame, others: pl.DataFrame
    ) -> pl.DataFrame:
        """response_id, right, right_failed: how far the samples agree with each response."""
        rows = responses.join(others, on="prompt_id")
        same = self._ask_same(inference, rows)
        agreed = rows.select("response_id", "sure", "failed").with_columns(same)
        return _average(agreed, "response_id", "right", pl.col("yes") * pl.col("sure"))

    def _rate_known(
        self, inference: Inference, whole: pl.DataFrame, others: pl.DataFrame
    ) -> pl.DataFrame:
        """prompt_id, known, known_failed: how far the samples of each prompt agree."""
        first = whole.drop("failed").join(
            others.select("prompt_id", "sample", first_sure="sure", first_failed="failed"),
            on=["prompt_id", "sample"],
        )
        rows = first.join(others, on="prompt_id", suffix="_other").filter(
            pl.col("sample") < pl.col("sample_other")
        )
        same = self._ask_same(inference, rows)
        agreed = rows.select(
            "prompt_id",
            sure=pl.col("sure") * pl.col("first_sure"),
            failed=pl.min_horizontal("failed", "first_failed"),
        ).with_columns(same)
        return _average(agreed, "prompt_id", "known", pl.col("yes") * pl.col("sure"))

    def _ask_same(self, inference: Inference, rows: pl.DataFrame) -> pl.DataFrame:
        """Ask whether `response` and `other` agree, in both orders.

        Returns:
            One row per row: `yes` (the mean of P(Yes) over both orders) and `unscored`.
        """
        both = []
        for one, other in (("response", "other"), ("other", "response")):
            asking = self.fill("honesty_same", response_a=pl.col(one), response_b=pl.col(other))
            both.append(self._ask_yes(inference, rows, asking).select("yes", "unscored"))
        joined = pl.concat([both[0], both[1].select(pl.all().name.suffix("_r"))], how="horizontal")
        return joined.select(
            yes=(pl.col("yes") + pl.col("yes_r")) / 2,
            unscored=pl.min_horizontal("unscored", "unscored_r"),
        )

    def _ask_yes(self, inference: Inference, rows: pl.DataFrame, asking: pl.Expr) -> pl.DataFrame:
        """The rows with `yes` (P(Yes)) and `unscored`."""
        verdicts = self.ask(inference, rows, asking)
        yes = share_out(pl.col("logprobs")).list.get(0)
        return rows.with_columns(verdicts.select("unscored", yes=yes).get_columns())

    def _sampling(self) -> Sampling:
        config = self.config
        return Sampling(
            temperature=config.temperature, max_tokens=config.max_tokens, seed=config.seed
        )


def _average(rows: pl.DataFrame, by: str, name: str, value: pl.Expr) -> pl.DataFrame:
    """The mean of each group, or null if a row has a reason; and the group's first reason."""
    reason = pl.min_horizontal("unscored", "failed")
    return rows.group_by(by, maintain_order=True).agg(
        # Sorted: the last digit of a sum must not depend on the order of the rows.
        pl.when(reason.null_count() == pl.len()).then(value.sort().mean()).alias(name),
        reason.min().alias(f"{name}_failed"),
    )
