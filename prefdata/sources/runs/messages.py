"""Message logs: one run a row, with its messages in any form that other sources read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefdata.errors import DropRecord
from prefdata.sources.rows.messages import is_anthropic, read_conversation
from prefdata.sources.runs.run import LogRow, PlacedTurn, Run, settle_turns

_FIELDS = ("messages", "conversations", "conversation", "trajectory")
_IDS = ("run_id", "session_id", "id")


def is_messages(row: Mapping[str, Any]) -> bool:
    """Whether the row holds messages."""
    return any(isinstance(row.get(field), list) for field in _FIELDS)


def read_run(rows: Sequence[LogRow]) -> Run:
    """The run of a row with `messages`, and perhaps `tools` and `model`. Raises DropRecord."""
    ((number, row),) = rows
    field = next((name for name in _FIELDS if isinstance(row.get(name), list)), None)
    if field is None:
        raise DropRecord("missing_field", f"none of {', '.join(_FIELDS)} holds a list of messages")
    messages, tools, model = row[field], row.get("tools"), row.get("model")
    system = row.get("system") if is_anthropic(messages, tools) else None
    read = read_conversation(messages, field, tools, system=system)
    return Run(
        settle_turns([PlacedTurn(number, turn) for turn in read.turns]),
        read.tools,
        model if isinstance(model, str) and model else None,
        [str(row[name]) for name in _IDS if isinstance(row.get(name), str | int)],
        row,
    )
