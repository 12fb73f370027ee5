"""Together: DPO as a service."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import is_messages, take


class TogetherConfig(ConsumerConfig):
    kind: Literal["together"] = "together"


class Together(Consumer):
    """Together's page on preference fine-tuning (read 2026-11-21): OpenAI's form, with exactly one
    assistant's message in each output."""

    config: TogetherConfig
    title = "Together DPO"
    reads = frozenset({"input", "preferred_output", "non_preferred_output"})
    exports = ("openai",)

    def read(self, row: Row) -> Reading:
        asked = row.get("input")
        outputs = take(row, "preferred_output", "non_preferred_output")
        if not isinstance(asked, dict) or not is_messages(asked.get("messages"), *outputs):
            return refuse(
                "a line is not input (with messages), preferred_output and non_preferred_output",
                "Export it as openai.",
            )
        if any(len(each) != 1 or each[0]["role"] != "assistant" for each in outputs):
            return refuse(
                "an output is not exactly one assistant's message", "Leave the tool turns out."
            )
        return Reading("preference fine-tuning")
