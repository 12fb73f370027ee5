"""Answers that came with a prompt, and what people said of them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LabelKind = Literal["rating", "ranking", "thumb"]


class Answer(BaseModel):
    """An answer that the source brought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    response_id: str = Field(description="Content id of the prompt and the text.")
    text: str
    model: str | None = Field(description="Who or what wrote it, as the source says.")


class Label(BaseModel):
    """One row of a labelled source: one annotator's word on one answer, or order of several.

    `{"annotator": "ann-7", "group": "nurses", "kind": "rating", "dimension": null,
    "responses": ["1f…"], "values": [4.0]}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    annotator: str
    group: str | None
    kind: LabelKind
    dimension: str | None = Field(description="The quality it is about; null: the judge says.")
    responses: list[str] = Field(description="The answers' ids, sorted.")
    values: list[float] = Field(
        description="One an answer. rating: as given; thumb: 1 up, 0 down; ranking: 1, 2, …, the "
        "best first, equal ranks equal."
    )
