"""CHES of every ordered pair of responses, whether or not it becomes a preference pair."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from prefdata.records.base import Record

WHICH_MEASURE = (
    "ches_normalized (unless set) compares pairs of different length, but on the demo policy its "
    "rank correlation with how far DPO displaces the chosen response was 0.04, that of ches 0.65, "
    "that of the response's length alone 0.76. No real model has been measured yet."
)
"""Said wherever one of the two is chosen."""


class Ches(Record):
    """One row of data/ches: an ordered pair, as if `chosen_id` were chosen over `rejected_id`.

    A prompt's n responses make n (n - 1) ordered pairs; the model reads each response once.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "chosen_id", "rejected_id")

    prompt_id: str
    chosen_id: str
    rejected_id: str
    ches: float = Field(description="CHES(chosen, rejected), arXiv 2410.08847, Definition 2.")
    ches_normalized: float = Field(description="Length-normalised CHES.")
    last_hidden_inner_product: float = Field(
        description="<h_last(chosen), h_last(rejected)>, the paper's baseline beside CHES."
    )
    tokens_chosen: int = Field(description="The response's tokens, the end-of-turn token included.")
    tokens_rejected: int
