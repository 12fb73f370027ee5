"""OpenRLHF's reward models and DPO."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import begins_with, describe, is_messages, is_text, take


class OpenrlhfConfig(ConsumerConfig):
    kind: Literal["openrlhf"] = "openrlhf"


class Openrlhf(Consumer):
    """openrlhf 0.11.2, datasets/reward_dataset.py, preprocess_data: the lists of prompt and
    response are joined; without --data.prompt_key each side is a whole conversation."""

    config: OpenrlhfConfig
    title = "OpenRLHF 0.11 RM, DPO"
    reads = frozenset({"prompt", "chosen", "rejected", "margin"})
    exports = ("openrlhf",)

    def read(self, row: Row) -> Reading:
        prompt, *sides = take(row, "prompt", "chosen", "rejected")
        if is_messages(*sides):
            if prompt is None or is_text(prompt) or any(begins_with(s, prompt) for s in sides):
                taken = "whole conversations, without --data.prompt_key"
                if min(map(len, sides)) < 2:
                    return refuse(
                        "the responses are whole conversations of one message: there is no prompt",
                        "Export it as openrlhf.",
                    )
                return Reading(taken, self._read_margin(row))
            if is_messages(prompt):
                taken = "--data.prompt_key prompt --data.apply_chat_template"
                return Reading(taken, self._read_margin(row))
        if is_text(*sides) and (prompt is None or is_text(prompt)):
            return Reading("texts, with --data.input_template", self._read_margin(row))
        return refuse(
            f"prompt is {describe(prompt)}, chosen {describe(sides[0])}, rejected "
            f"{describe(sides[1])}: TypeError",
            "Export it as openrlhf.",
        )

    def _read_margin(self, row: Row) -> list[Problem]:
        """With --model.margin_loss_enable alone; a null counts as zero there."""
        if row.get("margin", 0) is not None:
            return []
        return [
            Problem(
                "reads",
                "margin is null, which --model.margin_loss_enable reads as zero",
                "Give every row a number, or leave the flag out.",
            )
        ]
