"""The form of TRL's SFTTrainer: a prompt and the best response to it."""

from __future__ import annotations

from typing import ClassVar, Generic, Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.standings import list_best_first, measure_rewards, measure_standings
from prefdata.dataset.exports.base import ExportBucket, Formatted
from prefdata.dataset.exports.conversations import Conversational, ConversationalConfig
from prefdata.records.base import JsonText, Record
from prefdata.records.preference import Turn, TurnT


class CompletionColumns(Record, Generic[TurnT]):
    """The columns of a row: a prompt and one response."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt: list[TurnT] = Field(description="The prompt's turns, the last of them to be answered.")
    completion: list[TurnT] = Field(description="The best response, one assistant turn.")
    prompt_id: str = Field(description="Content id of the prompt.")
    response_id: str = Field(description="The response's id; see Response.")
    source: str = Field(description="Where the prompt comes from.")
    policy: str = Field(description="The policy that the response is of.")
    value: float = Field(
        description="What it is the best by: its mean reward, or its mean P(win) over the labels."
    )
    n: int = Field(description="The number of responses that it is the best of.")


class BestCompletion(CompletionColumns[Turn]):
    """One row where messages are role and content."""


class StructuredBestCompletion(CompletionColumns[JsonText]):
    """One row where some prompt or response has tools, calls or thoughts; see
    StructuredPreference."""

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )


class TrlSftConfig(ConversationalConfig):
    kind: Literal["trl_sft"] = "trl_sft"
    by: Literal["reward", "label"] = Field(
        "reward",
        description="What makes a response the best: reward, its mean reward over the judges that "
        "rewarded all of the prompt's responses; label, its mean P(win) over the labels (Borda).",
    )


class TrlSft(Conversational):
    """The best of a prompt's responses, for TRL's SFTTrainer: RAFT's best of n (arXiv 2304.06767).

    It is the best of all responses, whether or not they came into a pair, so a filter of pairs does
    not change it. A prompt without a reward or label for its responses is dropped. Of equally good
    responses that with the smallest id is taken.
    """

    config: TrlSftConfig
    record = BestCompletion
    usage = (
        "from trl import SFTTrainer\n"
        'SFTTrainer("your/model", train_dataset=dataset["train"]).train()'
    )
    structured = StructuredBestCompletion
    conversations = ("prompt", "completion")
    unit = "prompts"
    needs = frozenset({"prompts", "responses", "labels", "judgments"})
    one_way = "It holds the best response alone, and nothing that it is better than."
    cannot_carry = "All responses but the best, and who judged."

    @property
    def takes_pairs(self) -> bool:
        return False

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        if self.config.by == "reward":
            values, missing = measure_rewards(bucket.judgments), "no_reward"
        else:
            values, missing = measure_standings(bucket.labels), "no_label"
        best = (
            list_best_first(values)
            .group_by("prompt_id", maintain_order=True)
            .agg(pl.col("response_id", "value").first(), n=pl.len().cast(pl.Int64))
        )
        prompts = bucket.prompts.join(bucket.responses, on="prompt_id", how="semi")
        columns = ["response_id", "policy", "text", "thoughts", "tool_calls"]
        rows = prompts.join(best, on="prompt_id", maintain_order="left")
        rows = rows.join(bucket.responses.select(columns), on="response_id", maintain_order="left")
        dropped = prompts.join(best, on="prompt_id", how="anti").select(
            "prompt_id",
            reason=pl.lit(missing),
            detail=pl.lit(f"No response has a {self.config.by}: change `by`, or what judges."),
        )
        rows = rows.with_columns(
            prompt=self.write_prompt(),
            completion=self.write_response(*map(pl.col, ("text", "thoughts", "tool_calls"))),
        )
        carried = bucket.pairs.join(rows, on="prompt_id", how="semi")["pair_id"]
        return Formatted(rows, dropped, units_in=prompts.height, pair_ids=carried)
