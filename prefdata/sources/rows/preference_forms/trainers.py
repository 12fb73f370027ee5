"""The forms of NeMo-RL and ms-swift."""

from __future__ import annotations

from typing import Any

from prefdata.sources.rows.messages import (
    read_conversation,
    read_messages,
    read_response,
    take_response,
)
from prefdata.sources.rows.preference_forms.ranked import take_ranked
from prefdata.sources.rows.preference_forms.row import (
    SIDES,
    Form,
    PreferenceRow,
    check_pair,
    require,
)


def _read_nemo_rl(row: dict[str, Any]) -> PreferenceRow:
    turns, tools = read_conversation(require(row, "context"), "context", row.get("tools"))
    chosen, rejected = (
        take_response(read_messages(each.get("completion"), "completion", tools is not None), side)
        for side, each in zip(SIDES, take_ranked(row, "rank", best=min), strict=True)
    )
    check_pair(turns, [chosen, rejected])
    return PreferenceRow(turns, chosen, rejected, tools)


def _read_ms_swift(row: dict[str, Any]) -> PreferenceRow:
    """The rejected side is the response, or a conversation of its own."""
    whole, tools = read_conversation(require(row, "messages"), "messages", row.get("tools"))
    turns, chosen = whole[:-1], take_response(whole[-1:], "messages")
    if "rejected_messages" in row:
        own = read_conversation(
            require(row, "rejected_messages"), "rejected_messages", row.get("tools")
        )
        rejected = take_response(own.turns[len(turns) :], "rejected_messages")
    else:
        given = require(row, "rejected_response")
        rejected = read_response(given, "rejected_response", tools is not None)
    check_pair(turns, [chosen, rejected])
    return PreferenceRow(turns, chosen, rejected, tools)


NEMO_RL = Form("NeMo-RL", ("context", "completions"), _read_nemo_rl)
MS_SWIFT = tuple(
    Form("ms-swift", ("messages", rejected), _read_ms_swift, without=SIDES["chosen"])
    for rejected in ("rejected_messages", "rejected_response")
)
