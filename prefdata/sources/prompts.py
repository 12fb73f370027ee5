"""Prompts: rows with a prompt or messages, and optionally existing responses and annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from prefdata.errors import DropRecord
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.file_source import FileSource, FileSourceConfig
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.annotations import AnnotationsParams, read_annotation
from prefdata.sources.rows.conversations import (
    Turn,
    clean_conversation,
    read_ground_truth,
    read_messages,
)


class PromptsConfig(FileSourceConfig):
    kind: Literal["prompts"] = "prompts"

    kind_optional: ClassVar[bool] = True

    prompt_field: str = Field(
        "prompt",
        description="The field of the prompt: a string or a list of messages.",
        examples=["question"],
    )
    messages_field: str = Field(
        "messages", description="The field of a list of messages.", examples=["conversation"]
    )
    annotations: AnnotationsParams | None = Field(
        None,
        description="Set if the rows hold existing responses and annotations of them.",
        examples=[{"kind": "rating"}],
    )

    example: ClassVar = {"path": "prompts.jsonl"}


class PromptsSource(FileSource):
    """Reads rows with `prompt` or `messages`; in JSONL also bare strings.

    `{"prompt": "Hi\\r\\n"}` becomes the conversation `[Turn("user", "Hi")]`.
    """

    config: PromptsConfig

    @property
    def annotation_kind(self) -> AnnotationKind | None:
        annotations = self.config.annotations
        return None if annotations is None else annotations.kind

    def fields(self) -> Sequence[str]:
        annotations = self.config.annotations
        return (
            *super().fields(),
            *self.required(),
            *(annotations.columns().values() if annotations else ()),
        )

    def required(self) -> dict[str, str]:
        return {
            self.config.prompt_field: "prompt_field",
            self.config.messages_field: "messages_field",
        }

    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        config = self.config
        row = {config.prompt_field: value} if isinstance(value, str) else value
        turns = clean_conversation(self._read_turns(row), max_prompt_chars)
        ground_truth = read_ground_truth(
            row.get(config.ground_truth_field), config.ground_truth_field
        )
        responses, annotation = (
            read_annotation(row, turns, config.annotations) if config.annotations else (None, None)
        )
        source = row.get("source")
        named = source if isinstance(source, str) else None
        return SourceRow(turns, named, ground_truth, responses, annotation)

    def _read_turns(self, row: Any) -> list[Turn]:
        if not isinstance(row, dict):
            raise DropRecord("not_an_object", f"found {type(row).__name__}, expected an object")
        prompt, messages = self.config.prompt_field, self.config.messages_field
        if row.get(messages) is not None:
            return read_messages(row[messages], messages)
        value = row.get(prompt)
        if value is None:
            raise DropRecord(
                "missing_field",
                f"neither {prompt!r} nor {messages!r} is here; found: "
                f"{', '.join(sorted(map(str, row))) or 'no fields'}",
                "Set prompt_field or messages_field of the source.",
            )
        return [Turn("user", value)] if isinstance(value, str) else read_messages(value, prompt)
