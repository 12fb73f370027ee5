"""Together: DPO as a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from prefdata.consumers.base import ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.hosted.openai import Openai


class TogetherConfig(ConsumerConfig):
    kind: Literal["together"] = "together"


class Together(Openai):
    """Together's page on preference fine-tuning (read 2026-11-21): OpenAI's form, with exactly one
    assistant's message in each output."""

    config: TogetherConfig  # type: ignore[assignment]
    title = "Together DPO"

    def refuse_outputs(self, outputs: Sequence[Sequence[Row]]) -> Reading | None:
        if any(len(each) != 1 or each[0]["role"] != "assistant" for each in outputs):
            return refuse(
                "an output is not exactly one assistant's message", "Leave the tool turns out."
            )
        return None
