"""Claude Code: session logs of `~/.claude/projects/PROJECT/SESSION.jsonl`, one run a file.

A line of the type user or assistant holds a message in Anthropic's form, its `uuid` and its
`parentUuid`. One message of the model stands in several lines, a block each, which share
`message.id`; the results of its calls have different ones of these lines as parents. Where the user
went back and asked anew, the lines form a tree, and the last line is the end of the branch that
counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefdata.sources.base import NoFault
from prefdata.sources.runs.run import LogRow, PlacedTurn, Run, place_messages, settle_turns

_TYPES = ("user", "assistant")
_SYNTHETIC = "<synthetic>"
"""The model of messages that Claude Code itself wrote, such as an error of the API."""


def is_claude_code(row: Mapping[str, Any]) -> bool:
    """Whether the row is a line of a session log."""
    kind = row.get("type")
    if kind in _TYPES:
        return isinstance(row.get("message"), dict) and "payload" not in row
    # Lines of other types may stand before the first message.
    return isinstance(kind, str) and ("sessionId" in row or "leafUuid" in row or "snapshot" in row)


def read_session(rows: Sequence[LogRow]) -> Run:
    """The run of a session: the main conversation up to the first compaction of its context.

    Raises:
        DropRecord: The session is faulty.
        NoFault: It holds no main conversation, but that of a subagent.
    """
    rows = list(_take_until_compaction(rows))
    messages = [row for row in rows if _is_message(row.value)]
    main = [row for row in messages if not row.value.get("isSidechain")]
    if messages and not main:
        raise NoFault("sidechain", "the file holds a subagent's conversation")
    live = _select_branch(rows, main)
    turns: list[PlacedTurn] = []
    for number, row in live:
        if not row.get("isMeta"):
            turns += place_messages(number, _without_empty_thoughts(row["message"]))
    models = [row.value["message"].get("model") for row in live]
    named = [row.value["sessionId"] for row in rows if isinstance(row.value.get("sessionId"), str)]
    return Run(settle_turns(turns), None, next(filter(None, models), None), named[:1], {})


def _take_until_compaction(rows: Sequence[LogRow]) -> Iterator[LogRow]:
    """Behind a compaction the model sees a summary in place of the turns."""
    for row in rows:
        if row.value.get("subtype") == "compact_boundary" or row.value.get("isCompactSummary"):
            return
        yield row


def _is_message(row: Mapping[str, Any]) -> bool:
    message = row.get("message")
    return (
        row.get("type") in _TYPES
        and isinstance(message, dict)
        and message.get("model") != _SYNTHETIC
        and not row.get("isApiErrorMessage")
    )


def _select_branch(rows: Sequence[LogRow], main: Sequence[LogRow]) -> list[LogRow]:
    """The messages of the branch that ends in the last one, in the order of the file."""
    parents = {row.value["uuid"]: row.value.get("parentUuid") for row in rows if _has_id(row.value)}
    if not main or not _has_id(main[-1].value):
        return list(main)
    chain, uuid = set(), main[-1].value["uuid"]
    while uuid is not None and uuid not in chain:
        chain.add(uuid)
        uuid = parents.get(uuid)
    on_chain = [row.value for row in main if row.value.get("uuid") in chain]
    written = {row["message"].get("id") for row in on_chain if row["type"] == "assistant"} - {None}
    branch: list[LogRow] = []
    called: set[Any] = set()
    for row in main:
        message = row.value["message"]
        blocks = message["content"] if isinstance(message.get("content"), list) else []
        answers = {block.get("tool_use_id") for block in blocks if isinstance(block, dict)} & called
        if row.value.get("uuid") in chain or message.get("id") in written or answers:
            branch.append(row)
            called |= {b["id"] for b in blocks if isinstance(b, dict) and "id" in b}
    return branch


def _has_id(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("uuid"), str)


def _without_empty_thoughts(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message without thoughts of which only the signature was logged."""
    content = message.get("content")
    if isinstance(content, list):
        content = [block for block in content if not _is_empty_thought(block)]
    return {"role": message.get("role"), "content": content}


def _is_empty_thought(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("thinking")
