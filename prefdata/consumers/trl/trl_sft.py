"""TRL's SFTTrainer."""

from __future__ import annotations

from typing import Any, Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import describe, explain_null_keys, is_messages, is_text
from prefdata.consumers.trl.pairs import COLUMNS, find_stray


def is_written(turn: Any) -> bool:
    """Whether it is a message of from and value, which TRL turns into one of role and content."""
    return isinstance(turn, dict) and "from" in turn


class TrlSftConfig(ConsumerConfig):
    kind: Literal["trl_sft"] = "trl_sft"


class TrlSft(Consumer):
    """trl 1.16.0, trainer/sft_trainer.py, SFTTrainer._prepare_dataset: prompt and completion, or
    messages (conversations of from and value too), or text."""

    config: TrlSftConfig
    title = "TRL 1.16 SFTTrainer"
    reads = COLUMNS | {"text", "conversations"}
    exports = ("trl_sft",)

    def read(self, row: Row) -> Reading:
        if "prompt" in row:
            if "completion" not in row:
                return refuse(
                    "there is a prompt but no column completion: KeyError: 'completion'",
                    "Export it as trl_sft, or rename chosen to completion; then remove rejected.",
                )
            prompt, completion = row["prompt"], row["completion"]
            if is_messages(prompt, completion) or is_text(prompt, completion):
                return Reading("prompt and completion", explain_null_keys(prompt, completion))
            return refuse(
                f"prompt is {describe(prompt)} and completion {describe(completion)}: TypeError",
                "Bring both into one form: texts, or lists of messages.",
            )
        turns = row.get("messages", row.get("conversations"))
        written = isinstance(turns, list) and all(is_written(turn) for turn in turns or [None])
        if is_messages(turns) or written:
            stray = find_stray(row, True, ("chosen", "rejected", "completion"))
            if stray:
                # A dataset of pairs, which it is not meant for.
                return refuse(stray.problems[0].what, "Export it as trl_sft.")
            return Reading("whole conversations", explain_null_keys(turns))
        if is_text(row.get("text")):
            return Reading("texts")
        return refuse(
            "it has none of prompt and completion, messages, and text: KeyError: 'text'",
            "Export it as trl_sft.",
        )
