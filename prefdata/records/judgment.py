"""A judgment: what one judge says of two answers to one prompt."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record

CONSENSUS = "consensus"
"""The `judge` of the rows in which the judges' opinions were combined into one label."""

HELPFULNESS = "helpfulness"
"""The quality that an opinion is about, where the judge's settings name no other."""


NOT_LABELLED = "not_labelled"
"""The code of `unscored` where nobody labelled both answers: nothing failed, nothing was said."""

SPEAKER = ("judge", "dimension", "annotator", "group")
"""Whose opinion a row is: each annotator's is one of its own."""


class Judgment(Record):
    """One row of data/judgments: a judge, two answers and P(a ≻ b); of people, one an annotator.

    `response_a` < `response_b` always, so the order in which candidates came can't matter.
    Exactly one of `preference` and `unscored` is null: a verdict that is missing or unreadable
    is Unscored with its reason, never a number.
    """

    sort_by: ClassVar[tuple[str, ...]] = (
        "prompt_id", "judge", "dimension", "response_a", "response_b", "annotator", "group",
    )  # fmt: skip

    prompt_id: str
    judge: str = Field(description="The judge's name in params.yaml, or 'consensus'.")
    dimension: str | None = Field(
        description="The quality that the opinion is about; null in consensus rows, which join all."
    )
    annotator: str | None = Field(description="The person whose opinion it is; null: a model's.")
    group: str | None = Field(description="The annotator's group; null: none, or a model's.")
    response_a: str
    response_b: str
    preference: float | None = Field(description="P(a ≻ b) in [0, 1].")
    score_a: float | None = Field(description="The answer's own score, where the judge gives one.")
    score_b: float | None
    spread: float | None = Field(
        description="Standard deviation (of all members, not of a sample of them) of an ensemble's "
        "margins score_a - score_b, in the units of the score; null where the judge is no ensemble."
    )
    forward: float | None = Field(description="P(a ≻ b) with a shown first, by a pairwise judge.")
    reverse: float | None = Field(description="P(a ≻ b) with b shown first, by a pairwise judge.")
    agreement: float | None = Field(
        description="Consensus rows: share of the scored opinions that prefer the same answer."
    )
    flag: str | None = Field(
        description="Consensus rows: what it says of a label that it is less sure of, such as "
        "least_confident, ambiguous, flipped or cycle."
    )
    unscored: str | None = Field(description="Why there is no verdict.")
    trace: str | None = Field(
        description="What the judge wrote before its verdict (a rubric, a critique …), of both "
        "answers or both orders; where it is Unscored also what could not be read."
    )
