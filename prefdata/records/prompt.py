"""A prompt: the messages that the policy responds to."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from prefdata.records.annotation import Annotation, ExistingResponse
from prefdata.records.base import Record
from prefdata.records.message import Message


class Prompt(Record):
    """One row of data/prompts.

    `{"prompt": "Hi\\r\\n"}` in line 7 of q.jsonl becomes
    `{"prompt_id": "1f…", "messages": [{"role": "user", "content": "Hi", "thoughts": null, …}],
    "tools": null, "split": "train", "source": "q.jsonl", "origin": "q.jsonl:7",
    "ground_truth": null, "responses": null, "annotations": null}`.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt_id: str = Field(description="Content id of messages and tools; 32 hex characters.")
    messages: list[Message] = Field(
        description="An optional system turn, then user and assistant in turn, with the results of "
        "tools behind the turn that calls them; the last turn is a user's or a tool's."
    )
    tools: str | None = Field(
        None,
        description="The tools that the response may call, as JSON text: a list of "
        '{"type": "function", "function": {name, description, parameters}}; null: none.',
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
