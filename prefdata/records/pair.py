"""A preference pair, by ids; augmentations and filters add columns and keep the rest."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.base import Record
from prefdata.records.training import TrainingColumns


class PairJudgment(BaseModel):
    """A judgment of a pair by one judge or annotator, turned to chosen against rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    dimension: str = Field(description="The quality that is judged.")
    annotator: str | None = Field(description="The person who judged; null: a model or verifier.")
    group: str | None = Field(description="The annotator's group; null where there is none.")
    preference: float | None = Field(description="P(chosen ≻ rejected); null where Unscored.")
    reward_chosen: float | None = Field(description="The judge's reward of the chosen response.")
    reward_rejected: float | None = Field(
        description="The judge's reward of the rejected response."
    )
    spread: float | None = Field(
        description="Population standard deviation of an ensemble's margins; see Judgment."
    )


class Pair(Record):
    """One row of data/pairs."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    pair_id: str = Field(description="Content id of prompt, chosen and rejected.")
    prompt_id: str
    chosen_id: str
    rejected_id: str
    chosen_policy: str = Field(description="The policy of the chosen response; see Response.")
    rejected_policy: str = Field(description="The policy of the rejected response.")
    same_form: bool = Field(
        description="Whether both responses have thoughts or neither has, and both call tools or "
        "neither does."
    )
    strategy: str = Field(description="The kind of the strategy that made the pair.")
    soft_label: float = Field(description="The label's P(chosen ≻ rejected), above 0.5.")
    agreement: float = Field(description="Share of scored judgments that prefer the chosen one.")
    flag: str | None = Field(description="The consensus' mark on the label; see Label.")


class RewardedPair(Pair):
    """A pair with the rewards, judgments and rationales that it has."""

    reward_chosen: float | None = Field(
        description="Mean reward of the chosen response; null where no judge gives one."
    )
    reward_rejected: float | None = Field(description="Mean reward of the rejected response.")
    margin: float | None = Field(description="reward_chosen - reward_rejected.")
    judgments: list[PairJudgment] = Field(description="Every judgment of the pair, sorted.")
    rationale: str | None = Field(
        description="Why the chosen response is better, in general; null: none was written, or it "
        "was dropped, with its reason in data/dropped/augment."
    )
    rationale_specific: str | None = Field(
        description="Why the chosen response is better, by what the responses say; null as for "
        "rationale."
    )
    rationale_author: str | None = Field(
        description="Who wrote the rationales: a model or, of critiques and verdicts, the judges; "
        "null where the pair has none."
    )


class AugmentedPair(TrainingColumns, RewardedPair):
    """One row of data/augmented."""


class FilteredPair(AugmentedPair):
    """One row of data/filtered: a pair that passed every filter, with the filters' figures."""

    ches: float | None = Field(
        description="CHES(chosen, rejected), arXiv 2410.08847, Definition 2; null: not measured."
    )
    ches_normalized: float | None = Field(description="Length-normalised CHES.")
    last_hidden_inner_product: float | None = Field(
        description="<h_last(chosen), h_last(rejected)>, the paper's baseline beside CHES."
    )
    similarity: float | None = Field(
        description="Jaccard similarity of the responses' word trigrams; null: not measured."
    )
    cosine_similarity: float | None = Field(
        description="Cosine similarity of the responses' embeddings; null: not measured."
    )
