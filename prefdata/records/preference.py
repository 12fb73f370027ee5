"""A row of the published dataset, as a trainer reads it."""

from __future__ import annotations

from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.base import JsonText, Record
from prefdata.records.pair import PairJudgment
from prefdata.records.training import TrainingColumns


class Turn(BaseModel):
    """One turn. It has exactly two keys: a nullable third one would reach the chat template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


TurnT = TypeVar("TurnT", Turn, str)


class RewardedPreference(Record, Generic[TurnT]):
    """The columns of a pair with its texts: a prompt, and completions without it, all lists of
    turns.

    None has a name that a trainer reads in another meaning, as TRL's reads `margin`, `messages`,
    `completion`, `label`, `images` and `chat_template_kwargs`.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: list[TurnT] = Field(description="The prompt's turns, the last of them to be answered.")
    chosen: list[TurnT] = Field(description="The better response, one assistant turn.")
    rejected: list[TurnT] = Field(description="The worse response, one assistant turn.")
    prompt_id: str = Field(description="Content id of the prompt.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected.")
    source: str = Field(description="Where the prompt comes from.")
    chosen_policy: str = Field(
        description="The policy that the chosen response is of; one that came with the prompt: its "
        "author, or else the source."
    )
    rejected_policy: str = Field(description="The policy that the rejected response is of.")
    strategy: str = Field(description="The kind of the strategy that made the pair.")
    soft_label: float = Field(description="The consensus' P(chosen ≻ rejected), above 0.5.")
    agreement: float = Field(description="Share of scored judgments that prefer the chosen one.")
    flag: str | None = Field(description="The consensus' mark on the label; see Label.")
    reward_chosen: float | None = Field(
        description="Mean reward of the chosen response; null where no judge gives one."
    )
    reward_rejected: float | None = Field(description="Mean reward of the rejected response.")
    reward_margin: float | None = Field(
        description="reward_chosen - reward_rejected, in the judges' units."
    )
    ches: float | None = Field(
        description="CHES(chosen, rejected), arXiv 2410.08847, Definition 2; null: not measured."
    )
    ches_normalized: float | None = Field(description="Length-normalised CHES.")
    judgments: list[PairJudgment] = Field(description="Every judge's own judgment of the pair.")
    rationale: str | None = Field(
        description="Why the chosen response is better, in general; null: no rationale."
    )
    rationale_specific: str | None = Field(
        description="Why the chosen response is better, by what the responses say."
    )
    rationale_author: str | None = Field(description="Who wrote the rationales; see FilteredPair.")


class PreferenceColumns(TrainingColumns, RewardedPreference[TurnT], Generic[TurnT]):
    """The columns of a row."""


class Preference(PreferenceColumns[Turn]):
    """One row of data/dataset where messages are role and content, and prompts have no tools."""


class StructuredPreference(PreferenceColumns[JsonText]):
    """One row of data/dataset where some prompt or response of it has tools, calls or thoughts.

    A turn is a message in OpenAI's form, with no key that it does not need: `{"role": "assistant",
    "content": "", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f",
    "arguments": {"city": "Paris"}}}]}`. As JSON, for a struct would give every turn the keys of all
    turns, and every call the arguments of all tools, as nulls that chat templates render.
    """

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )


_MARGIN = Field(
    description="The margin of the reward model's loss: the log-odds of soft_label, never null."
)


class RewardPreference(Preference):
    """As `Preference`, with a margin for the loss of a reward model."""

    margin: float = _MARGIN


class StructuredRewardPreference(StructuredPreference):
    """As `StructuredPreference`, with a margin for the loss of a reward model."""

    margin: float = _MARGIN
