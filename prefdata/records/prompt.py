"""A prompt: the messages that the policy responds to."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.annotation import Annotation, ExistingResponse
from prefdata.records.base import Record


class Message(BaseModel):
    """One turn. It has exactly two keys: a nullable third one would reach the chat template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Record):
    """One row of data/prompts.

    `{"prompt": "Hi\\r\\n"}` in line 7 of q.jsonl becomes
    `{"prompt_id": "1f…", "messages": [{"role": "user", "content": "Hi"}], "split": "train",
    "source": "q.jsonl", "origin": "q.jsonl:7", "ground_truth": null, "responses": null,
    "annotations": null}`.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt_id: str = Field(description="Content id of the messages; 32 hex characters.")
    messages: list[Message] = Field(
        description="An optional system turn, then user and assistant in turn, ending with user."
    )
    split: Literal["train", "test"] = Field(description="Fixed by the prompt id alone.")
    source: str = Field(description="Where it came from: the row's own source, or the file.")
    origin: str = Field(description="file:row of the first occurrence; rows count from 1.")
    ground_truth: str | None = Field(
        description="What verifiers check responses against, as the source has it: the right "
        "answer, tests, constraints. No model sees it."
    )
    responses: list[ExistingResponse] | None = Field(
        description="Existing responses, from the sources, sorted by text; null: none."
    )
    annotations: list[Annotation] | None = Field(
        description="Annotators' judgments of them, one per source row, sorted by annotator; null: "
        "none."
    )
