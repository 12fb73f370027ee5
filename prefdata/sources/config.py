"""What params.yaml says of a source."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AnnotationsParams(BaseModel):
    """What people said of existing responses: one row one annotator's word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rating", "ranking", "thumb"] = Field(
        description="rating: a number, more is better; thumb: up or down, true or false, 1 or 0; "
        "ranking: a rank a response, the lowest is the best."
    )
    response_field: str | None = Field(
        None, description="The response; of a ranking, the list of them. Not set: response(s)."
    )
    value_field: str | None = Field(
        None, description="What was said; of a ranking, a list. Not set: the kind's name."
    )
    annotator_field: str = Field("annotator", description="Who said it; every row needs one.")
    group_field: str = Field("group", description="The annotator's group; a row need not have it.")
    model_field: str = Field(
        "model", description="Who wrote the response, or a list of them; a row need not have it."
    )
    dimension: str | None = Field(
        None, min_length=1, description="The quality it is about; not set: the judge's."
    )

    def columns(self) -> dict[str, str]:
        """What is read -> the field that holds it."""
        several = self.kind == "ranking"
        return {
            "response": self.response_field or ("responses" if several else "response"),
            "value": self.value_field or self.kind,
            "annotator": self.annotator_field,
            "group": self.group_field,
            "model": self.model_field,
        }


class SourceParams(BaseModel):
    """A file of prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    format: Literal["auto", "jsonl", "parquet", "hh"] = "auto"
    prompt_field: str = Field("prompt", description="A string or a list of messages.")
    messages_field: str = Field("messages", description="A list of messages.")
    ground_truth_field: str = Field(
        "ground_truth",
        description="What verifiers check responses against; a row need not have it.",
    )
    annotations: AnnotationsParams | None = Field(
        None, description="Its rows hold existing responses and what people said of them."
    )
    limit: int | None = Field(None, gt=0, description="Read this many rows and no more.")
