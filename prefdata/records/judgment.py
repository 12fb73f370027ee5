"""A judgment: what one judge or annotator says of two responses to one prompt."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from prefdata.records.base import Record

HELPFULNESS = "helpfulness"
"""The default dimension of judges."""

NOT_ANNOTATED = "not_annotated"
"""The code of `unscored` where no annotator saw both responses: nothing failed."""

SPEAKER = ("judge", "dimension", "annotator", "group")
"""The columns that identify who judged, and on which dimension."""


class Judgment(Record):
    """One row of data/judgments: P(a ≻ b) by one judge, or by one annotator.

    `response_a` < `response_b` always, so the order in which the responses came can't matter.
    Exactly one of `preference` and `unscored` is null: a verdict that is missing or unreadable is
    Unscored with its reason, never a number.
    """

    sort_by: ClassVar[tuple[str, ...]] = (
        "prompt_id", "judge", "dimension", "response_a", "response_b", "annotator", "group",
    )  # fmt: skip

    prompt_id: str
    judge: str = Field(description="The judge's name in params.yaml.")
    dimension: str = Field(description="The quality that is judged, such as helpfulness.")
    annotator: str | None = Field(description="The person who judged; null: a model or verifier.")
    group: str | None = Field(description="The annotator's group; null where there is none.")
    response_a: str
    response_b: str
    preference: float | None = Field(description="P(a ≻ b) in [0, 1].")
    reward_a: float | None = Field(
        description="The judge's reward of response a; null where it gives none."
    )
    reward_b: float | None = Field(description="The judge's reward of response b.")
    spread: float | None = Field(
        description="Population standard deviation of an ensemble's margins reward_a - reward_b, "
        "in the unit of the reward; null where the judge is no ensemble."
    )
    forward: float | None = Field(
        description="P(a ≻ b) with a shown first, by a judge of both orders."
    )
    reverse: float | None = Field(
        description="P(a ≻ b) with b shown first, by a judge of both orders."
    )
    unscored: str | None = Field(description="Why there is no preference: a code, then a detail.")
    trace: str | None = Field(
        description="What the judge wrote before its verdict (a rubric, a critique …), for both "
        "responses or both orders; where it is Unscored, also what could not be read."
    )


JUDGED = [name for name in Judgment.model_fields if name != "trace"]
"""The columns that say what was judged. Traces are most of the table, and few need them."""


class PersonJudgment(Record):
    """One line of the file that `prefdata review import` writes and the judge `human` reads.

    `{"prompt_id": "1f…", "response_a": "3c…", "response_b": "9a…", "annotator": "ann-7",
    "preference": 1.0, "trace": "Clearer."}`.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "response_a", "response_b", "annotator")

    prompt_id: str
    response_a: str
    response_b: str
    annotator: str = Field(min_length=1, description="The person's id.")
    group: str | None = Field(None, description="The person's group; null: none.")
    dimension: str | None = Field(
        None, description="The quality that was judged; null: the dimension of the judge."
    )
    preference: float = Field(ge=0, le=1, description="P(a ≻ b); 0.5: a tie.")
    trace: str | None = Field(None, description="What the person wrote; null: nothing.")

    @model_validator(mode="after")
    def _check_order(self) -> PersonJudgment:
        if self.response_a >= self.response_b:
            raise ValueError("response_a must come before response_b in text order")
        return self
