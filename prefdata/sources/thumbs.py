"""Thumbs: logs of single responses with a user's thumb up or down, and unpaired datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.errors import DropRecord, SourceError
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault
from prefdata.sources.dataset_source import AnnotatedSource, DatasetSourceConfig
from prefdata.sources.rows.annotated import AnnotatedRow, Given
from prefdata.sources.rows.annotations import read_annotator, read_name
from prefdata.sources.rows.conversations import Turn, read_optional_text
from prefdata.sources.rows.fields import list_unread
from prefdata.sources.rows.messages import read_response
from prefdata.sources.rows.transcripts import read_prompt
from prefdata.sources.rows.values import is_number

_PROMPTS = ("prompt", "messages", "conversation", "question", "input", "query", "instruction")
_CONVERSATIONS = ("messages", "conversations")
"""May hold the response, too."""
_RESPONSES = ("response", "completion", "output", "answer")
_THUMBS = ("thumb", "label", "feedback", "vote", "rating", "kto_tag")
_NAMES: dict[str, tuple[str, ...]] = {
    "prompt": (*_PROMPTS, "conversations"),
    "response": _RESPONSES,
    "thumb": _THUMBS,
    "annotator": ("annotator", "user_id", "user"),
    "group": ("group",),
    "model": ("model",),
    "justification": ("comment", "reason", "justification"),
    "tools": ("tools",),
    "system": ("system",),
    "source": ("source",),
}


class ThumbColumnsParams(BaseModel):
    """The columns of a log; those left out are found by their usual names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str | None = Field(
        None,
        description="The column of the prompt, text or messages; without a column of the response, "
        "the last message is the response.",
    )
    response: str | None = Field(None, description="The column of the response.")
    thumb: str | None = Field(None, description="The column of the thumb.")
    annotator: str | None = Field(None, description="The column of the user's id.")
    group: str | None = Field(None, description="The column of the user's group.")
    model: str | None = Field(None, description="The column of the model that responded.")
    justification: str | None = Field(None, description="The column of the user's comment.")


class ThumbsConfig(DatasetSourceConfig):
    kind: Literal["thumbs"] = "thumbs"
    columns: ThumbColumnsParams = Field(
        ThumbColumnsParams(),
        description="The columns of a log; those left out are found by their usual names.",
        examples=[{"thumb": "liked"}],
    )
    no_vote: list[str] = Field(
        [],
        description="Values of the thumb that are no vote, as text; their rows are left out, as "
        "those without a value are.",
        examples=[["0"]],
    )
    annotator: str = Field(
        "users",
        min_length=1,
        description="The name of the annotator to whom thumbs are attributed where the log has no "
        "column of users.",
        examples=["visitors"],
    )

    example: ClassVar = {"path": "thumbs.jsonl"}


class ThumbsSource(AnnotatedSource):
    """Reads rows of a prompt, one response and a thumb: a product's log, or an unpaired dataset for
    KTO (arXiv 2402.01306).

    `{"messages": [{"role": "user", "content": "2 + 2?"}], "response": "4", "user_id": "u7",
    "thumb": "up", "comment": "Short."}` becomes a response and a thumb up by u7, with the comment
    as its justification. A thumb is up or down, true or false, 1 or 0 or -1, or a word such as
    liked. If there is a column of users, every row needs a user.
    """

    config: ThumbsConfig

    signatures: ClassVar = (
        *product(_PROMPTS, _RESPONSES, _THUMBS[:4]),
        *product(_CONVERSATIONS, ("label", "kto_tag")),
    )

    @property
    def annotation_kinds(self) -> Sequence[AnnotationKind]:
        return ("thumb",)

    @cached_property
    def columns(self) -> dict[str, str]:
        """The column of each part of a row that the dataset has. Raises SourceError where it has no
        prompt or no thumb, or not the column that a setting names."""
        found = self.first_row
        if found is None:
            return {}
        named = self.config.columns.model_dump(exclude_none=True)
        held = f"it has: {', '.join(map(str, found)) or 'none'}"
        for part, column in named.items():
            if column not in found:
                raise SourceError(f"{self.name}: has no column {column!r} for {part}; {held}")
        usual = {
            part: next((name for name in names if name in found), None)
            for part, names in _NAMES.items()
        }
        columns = {part: name for part, name in {**usual, **named}.items() if name is not None}
        for part in ("prompt", "thumb"):
            if part not in columns:
                raise SourceError(
                    f"{self.name}: no column of the {part}; {held}",
                    f"Name it: `columns: {{{part}: …}}` of the source.",
                )
        return columns

    def check(self) -> None:
        _ = self.columns

    def list_unread(self, value: Any) -> Iterator[str]:
        return list_unread(value, {column: {} for column in self.columns.values()})

    def read_row(self, row: dict[str, Any]) -> AnnotatedRow:
        held = {part: row.get(column) for part, column in self.columns.items()}
        thumb = held["thumb"]
        if thumb is None or str(thumb) in self.config.no_vote:
            raise NoFault("no_vote", f"{self.columns['thumb']!r} is {thumb!r:.40}")
        # Beside messages, a column of this name is of something else.
        system = held.get("system") if isinstance(held["prompt"], str) else None
        turns, tools = read_prompt(
            held["prompt"],
            self.columns["prompt"],
            held.get("tools"),
            system=read_optional_text(system),
        )
        if held.get("response") is None:
            turns, response = turns[:-1], turns[-1] if turns else Turn("user", "")
            if response.role != "assistant":
                raise DropRecord("missing_field", "no response: the last message is no assistant's")
        else:
            response = read_response(held["response"], self.columns["response"])
        annotator = self.config.annotator
        if "annotator" in self.columns:
            annotator = read_annotator(held["annotator"], self.columns["annotator"])
        given = Given(
            "thumb",
            [0 if is_number(thumb) and thumb == -1 else thumb],
            annotator,
            group=read_name(held.get("group"), "group"),
            justifications=[read_optional_text(held.get("justification"))],
        )
        return AnnotatedRow(
            turns,
            [response],
            [given],
            models=[read_optional_text(held.get("model"))],
            source=read_optional_text(held.get("source")),
            tools=tools,
        )
