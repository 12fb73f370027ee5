"""Gemini: preference tuning as a service."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import is_message, is_messages, take


class GeminiConfig(ConsumerConfig):
    kind: Literal["gemini"] = "gemini"


class Gemini(Consumer):
    """Vertex AI's page on preference tuning (read 2026-11-21): contents that end with a user's
    turn, and two completions, one with score 1 and one with score 0."""

    config: GeminiConfig
    title = "Gemini preference tuning"
    reads = frozenset({"contents", "completions"})
    exports = ("gemini",)

    def read(self, row: Row) -> Reading:
        contents, completions = take(row, "contents", "completions")
        if not is_messages(contents) or not isinstance(completions, list):
            return refuse(
                "a line is not contents and completions with their scores", "Export it as gemini."
            )
        if contents[-1]["role"] != "user":
            return refuse("contents do not end with a user's turn", "Export it as gemini.")
        scored = [
            each.get("score")
            for each in completions
            if isinstance(each, dict) and is_message(each.get("completion"))
        ]
        if len(scored) != 2 or len(completions) != 2 or scored[0] == scored[1]:
            return refuse("completions are not two, of different scores", "Export it as gemini.")
        return Reading("preference tuning")
