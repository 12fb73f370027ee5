"""OpenAI, Azure and Fireworks: DPO as a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import is_messages, take


class OpenaiConfig(ConsumerConfig):
    kind: Literal["openai"] = "openai"


class Openai(Consumer):
    """OpenAI's, Azure's and Fireworks' pages on preference fine-tuning (read 2026-11-21): input
    with messages, and two outputs of an assistant."""

    config: OpenaiConfig
    title = "OpenAI, Azure, Fireworks DPO"
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
        return self.refuse_outputs(outputs) or Reading("preference fine-tuning")

    def refuse_outputs(self, outputs: Sequence[Sequence[Row]]) -> Reading | None:
        """Why the outputs, each a list of messages, are refused; None if they are not."""
        if any(each[-1]["role"] != "assistant" for each in outputs):
            return refuse(
                "an output does not end with an assistant's message", "Export it as openai."
            )
        return None
