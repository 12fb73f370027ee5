"""The form of TRL's online trainers: prompts alone."""

from __future__ import annotations

from typing import ClassVar, Generic, Literal

from pydantic import Field

from prefdata.dataset.exports.base import ExportBucket, Formatted
from prefdata.dataset.exports.conversations import Conversational, ConversationalConfig
from prefdata.records.base import JsonText, Record
from prefdata.records.preference import Turn, TurnT


class PromptColumns(Record, Generic[TurnT]):
    """The columns of a row: a prompt, and what reward functions get with it."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt: list[TurnT] = Field(description="The prompt's turns, the last of them to be answered.")
    prompt_id: str = Field(description="Content id of the prompt.")
    source: str = Field(description="Where the prompt comes from.")
    ground_truth: str | None = Field(
        description="What verifiers check responses against; see Prompt. null: none."
    )


class PromptOnly(PromptColumns[Turn]):
    """One row where messages are role and content."""


class StructuredPromptOnly(PromptColumns[JsonText]):
    """One row where some prompt has tools, calls or thoughts; see StructuredPreference."""

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )


class TrlPromptsConfig(ConversationalConfig):
    kind: Literal["trl_prompts"] = "trl_prompts"
    prompts: Literal["all", "paired"] = Field(
        "all", description="Which prompts; paired: only those of which a pair is left."
    )


class TrlPrompts(Conversational):
    """Prompts for TRL's GRPO, RLOO and Online DPO trainers, which sample the responses themselves.

    Every other column reaches the trainer's reward functions as a keyword: `ground_truth` for those
    that check it, `source` and `prompt_id`.
    """

    config: TrlPromptsConfig
    record = PromptOnly
    usage = (
        "from trl import GRPOTrainer  # ground_truth and source reach the reward functions\n"
        'GRPOTrainer("your/model", your_reward, train_dataset=dataset["train"]).train()'
    )
    structured = StructuredPromptOnly
    conversations = ("prompt",)
    unit = "prompts"
    needs = frozenset({"prompts"})
    one_way = "It holds prompts alone."
    cannot_carry = "Responses, and all that was judged of them."

    @property
    def takes_pairs(self) -> bool:
        return self.config.prompts == "paired"

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        prompts = bucket.prompts
        if self.takes_pairs:
            prompts = prompts.join(bucket.pairs, on="prompt_id", how="semi")
        rows = prompts.with_columns(prompt=self.write_prompt())
        return Formatted(rows, units_in=prompts.height)
