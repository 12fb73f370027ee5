"""A preference pair, by ids; augmenting and filtering add columns and keep the rest."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.base import Record


class PairJudgment(BaseModel):
    """What one judge, or one annotator, says of a pair, turned to chosen against rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    dimension: str = Field(description="The quality that the judgment is about.")
    annotator: str | None = Field(description="The person whose judgment it is; null: a model's.")
    group: str | None = Field(description="The annotator's group.")
    preference: float | None = Field(description="P(chosen ≻ rejected); null where unscored.")
    reward_chosen: float | None
    reward_rejected: float | None
    spread: float | None = Field(
        description="How far an ensemble's margins lie apart; see Judgment."
    )


class Pair(Record):
    """One row of data/pairs."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    pair_id: str = Field(description="Content id of prompt, chosen and rejected.")
    prompt_id: str
    chosen_id: str
    rejected_id: str
    strategy: str = Field(description="The strategy that made the pair.")
    soft_label: float = Field(description="The consensus' P(chosen ≻ rejected), above 0.5.")
    agreement: float = Field(description="Share of the scored judgments on the chosen one's side.")
    flag: str | None = Field(description="The consensus' mark on the label; see Judgment.")


class AugmentedPair(Pair):
    """One row of data/augmented."""

    reward_chosen: float | None = Field(description="Mean reward of the chosen response.")
    reward_rejected: float | None
    margin: float | None = Field(description="reward_chosen - reward_rejected.")
    judgments: list[PairJudgment] = Field(description="Every judge's and annotator's own, sorted.")


class FilteredPair(AugmentedPair):
    """One row of data/filtered: a pair that every filter kept, with the filters' figures."""

    ches: float | None = Field(
        description="CHES(chosen, rejected), arXiv 2410.08847, Definition 2; null if not measured."
    )
    ches_normalized: float | None = Field(description="Length-normalised CHES.")
    last_hidden_inner_product: float | None = Field(
        description="<h_last(chosen), h_last(rejected)>, the paper's baseline beside CHES."
    )
    similarity: float | None = Field(
        description="Jaccard similarity of the responses' word trigrams; null if not measured."
    )
    cosine_similarity: float | None = Field(
        description="Cosine similarity of the responses' embeddings; null if not measured."
    )
    weight: float | None = Field(
        description="What the pair counts for in training; null where no filter weighs."
    )
