"""A label: the consensus of all judgments on a comparison."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record


class Label(Record):
    """One row of data/labels: a comparison on which the judgments reached a consensus.

    `response_a` < `response_b`, as in `Judgment`; `preference` is never 0.5.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "response_a", "response_b")

    prompt_id: str
    response_a: str
    response_b: str
    preference: float = Field(description="P(a ≻ b) in [0, 1]; the further from 0.5, the surer.")
    agreement: float = Field(
        description="Share of the scored judgments that prefer the response that the label prefers."
    )
    flag: str | None = Field(
        description="The consensus' mark on a label that deserves less trust, such as "
        "least_confident, ambiguous, flipped, overruled or cycle; null: none."
    )
