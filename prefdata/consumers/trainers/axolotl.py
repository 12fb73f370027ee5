"""axolotl's DPO, IPO and SimPO."""

from __future__ import annotations

from typing import Any, Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import begins_with, describe, is_message, is_messages, is_text


class AxolotlConfig(ConsumerConfig):
    kind: Literal["axolotl"] = "axolotl"


class Axolotl(Consumer):
    """axolotl 0.21.0, prompt_strategies/dpo/chat_template.py, default and argilla_chat: the
    prompt is text or messages; of a list of chosen or rejected messages the last counts."""

    config: AxolotlConfig
    title = "axolotl 0.21 rl: dpo"
    reads = frozenset({"messages", "prompt", "chosen", "rejected"})
    exports = ("axolotl",)

    def read(self, row: Row) -> Reading:
        absent = [name for name in ("chosen", "rejected") if name not in row]
        if absent:
            return refuse(f"there is no column {absent[0]}: KeyError", "Export it as axolotl.")
        field = next((name for name in ("messages", "prompt") if name in row), None)
        sides = row["chosen"], row["rejected"]
        if field is None:
            if is_messages(*sides):
                return Reading("type chat_template.argilla_chat: whole conversations")
            return refuse(
                "there is neither messages nor prompt: KeyError",
                "Export it as axolotl.",
            )
        prompt = row[field]
        if not (is_text(prompt) or is_messages(prompt)):
            return refuse(f"{field} is {describe(prompt)}: TypeError", "Export it as axolotl.")
        if not all(is_text(side) or is_message(side) or is_messages(side) for side in sides):
            return refuse(
                f"chosen is {describe(sides[0])}, rejected {describe(sides[1])}: TypeError",
                "Export it as axolotl.",
            )
        return Reading(
            f"type chat_template.default, field_messages: {field}", _find_cut(prompt, sides)
        )


def _find_cut(prompt: Any, sides: tuple[Any, Any]) -> list[Problem]:
    """The turns that are neither in the prompt nor the last of a response."""
    asked = len(prompt) if isinstance(prompt, list) else 1
    lost = sum(
        max(len(side) - 1 - (asked if _repeats(side, prompt) else 0), 0)
        for side in sides
        if isinstance(side, list)
    )
    if not lost:
        return []
    turns = sum(len(side) if isinstance(side, list) else 1 for side in sides)
    what = "of a response of several messages the last alone is taken"
    return [Problem("cuts", what, "Put the earlier turns in the prompt.", lost, turns)]


def _repeats(side: list[Any], prompt: Any) -> bool:
    """Whether a conversation begins with the prompt, which is then not lost."""
    if isinstance(prompt, list):
        return begins_with(side, prompt)
    return bool(side) and side[0].get("content") == prompt
