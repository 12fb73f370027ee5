"""Oasst: OpenAssistant's message trees, whose ranked replies become responses and rankings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from prefdata.errors import DropRecord
from prefdata.files.rows import Row, format_of, open_unpacked, read_rows
from prefdata.parts.inputs import InputPath
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault, Source, SourceConfig
from prefdata.sources.file_source import FORMATS
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.annotations import annotate
from prefdata.sources.rows.conversations import Turn, clean_conversation, read_text

_SHOWN = 200
"""How many characters of a faulty message its dropped record shows."""
_ROLES = {"prompter": "user", "assistant": "assistant"}


class OasstConfig(SourceConfig):
    kind: Literal["oasst"] = "oasst"
    path: InputPath = Field(
        description="A file of trees, one per row (JSONL, JSON, Parquet), compressed or not.",
        examples=["more.jsonl"],
    )
    annotator: str = Field(
        "oasst",
        min_length=1,
        description="The name of the annotator to whom the merged rankings are attributed.",
        examples=["contributors"],
    )

    example: ClassVar = {"path": "trees.jsonl"}


class _Group(NamedTuple):
    """A prompter's message, what was said before it, and its replies."""

    turns: list[Turn]
    replies: list[dict[str, Any]]


class OasstSource(Source):
    """Reads trees of messages. Every message of a prompter becomes a prompt, with all that was said
    before it, and its replies become its responses, with one ranking of those that have a rank.

    `{"prompt": {"text": "2 + 2?", "role": "prompter", "replies": [{"text": "4", "rank": 0, …},
    {"text": "5", "rank": 1, …}]}}` becomes a prompt with two responses and a ranking that puts "4"
    first. Messages with fewer than two replies, and deleted ones with what follows them, are left
    out with their reasons. The labels of single messages (quality, toxicity …) are not read.
    """

    config: OasstConfig

    @property
    def name(self) -> str:
        return self.config.path

    @property
    def annotation_kind(self) -> AnnotationKind | None:
        return "ranking"

    def check(self) -> None:
        format_of(self.config.path, FORMATS)
        open_unpacked(self.config.path).close()

    def count_rows(self) -> int:
        return sum(1 for _ in self.rows())

    def rows(self) -> Iterator[Row]:
        return islice(self._walk_trees(), self.config.limit)

    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        assert isinstance(value, _Group)
        turns = clean_conversation(value.turns, max_prompt_chars)
        if len(value.replies) < 2:
            raise NoFault("too_few_responses", f"{len(value.replies)} replies; a ranking needs two")
        texts = [read_text(reply.get("text"), "a reply's text") for reply in value.replies]
        if len(set(texts)) < len(texts):
            raise DropRecord("repeated_response", "two of the replies are the same text")
        ranked = [n for n, reply in enumerate(value.replies) if reply.get("rank") is not None]
        ranks = [_read_rank(value.replies[n]["rank"]) for n in ranked]
        place = {rank: float(number) for number, rank in enumerate(sorted(set(ranks)), 1)}
        responses, annotation = annotate(
            turns,
            [Turn("assistant", text) for text in texts],
            [place.get(reply.get("rank", -1)) for reply in value.replies],
            kind="ranking",
            annotator=self.config.annotator,
            models=[_name_model(reply) for reply in value.replies],
        )
        ranking = annotation if len(ranked) > 1 else None
        return SourceRow(turns, None, None, responses, ranking)

    def _walk_trees(self) -> Iterator[Row]:
        """Every message of a prompter in every tree, and what is no tree."""
        number = 0
        for row in read_rows(self.config.path, format_of(self.config.path, FORMATS)):
            for said, value in _list_groups(row.value):
                number += 1
                raw = said.encode("utf-8", "backslashreplace") if said else row.raw
                yield Row(number, raw, value, f"{self.name}:{row.number}")


def _list_groups(tree: Any) -> Iterator[tuple[str, _Group | DropRecord]]:
    """The text of each prompter's message and its group, parents before their replies; a
    DropRecord for a message that can't be read, with all that follows it."""
    if isinstance(tree, DropRecord):
        yield "", tree
        return
    if not isinstance(tree, dict) or not isinstance(tree.get("prompt"), dict):
        yield (
            "",
            DropRecord(
                "no_tree",
                "no message under 'prompt'",
                "Use a file of trees, not of single messages.",
            ),
        )
        return
    waiting: list[tuple[list[Turn], Any]] = []
    try:
        waiting = [([_read_message(tree["prompt"], None)], tree["prompt"])]
    except DropRecord as reason:
        yield str(tree["prompt"])[:_SHOWN], reason
    while waiting:
        turns, message = waiting.pop()
        replies = []
        for reply in message.get("replies") or []:
            try:
                replies.append((_read_message(reply, message), reply))
            except DropRecord as reason:
                yield str(reply)[:_SHOWN], reason
        if turns[-1].role == "user":
            yield turns[-1].content, _Group(turns, [reply for _, reply in replies])
        waiting += [([*turns, turn], reply) for turn, reply in reversed(replies)]


def _read_message(message: Any, parent: Any) -> Turn:
    if not isinstance(message, dict):
        raise DropRecord("not_an_object", f"a message is {type(message).__name__}")
    if message.get("deleted"):
        raise NoFault("deleted", "the message is marked as deleted; what follows it goes with it")
    role, text, replies = message.get("role"), message.get("text"), message.get("replies") or []
    expected = "assistant" if parent and parent.get("role") == "prompter" else "prompter"
    if role != expected:
        raise DropRecord("roles_out_of_turn", f"a message is of {role!r}, expected {expected}")
    if not isinstance(text, str) or not isinstance(replies, list):
        raise DropRecord("wrong_type", "a message needs a text and a list of replies")
    named = message.get("parent_id")
    if parent and named is not None and named != parent.get("message_id"):
        raise DropRecord("wrong_parent", f"parent_id {named!r:.40} is not its parent's id")
    return Turn(_ROLES[role], text)


def _read_rank(rank: Any) -> int:
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank < 1_000_000:
        raise DropRecord("wrong_rank", f"a rank is {rank!r:.40}, expected a whole number from 0")
    return rank


def _name_model(reply: dict[str, Any]) -> str | None:
    name = reply.get("model_name")
    return name if isinstance(name, str) and name else None
