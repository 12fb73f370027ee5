"""NeMo-RL's DPO and reward models, on chosen and rejected."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_messages, is_text, take


class NemoRlBinaryConfig(ConsumerConfig):
    kind: Literal["nemo_rl_binary"] = "nemo_rl_binary"


class NemoRlBinary(Consumer):
    """NeMo-RL (commit 7ea279ab, 2026-08-22), data/datasets/preference_datasets,
    BinaryPreferenceDataset: chosen and rejected are wrapped into an assistant's turn, lists too."""

    config: NemoRlBinaryConfig
    title = "NeMo-RL BinaryPreferenceDataset"
    reads = frozenset({"prompt", "chosen", "rejected"})
    exports = ()

    def read(self, row: Row) -> Reading:
        prompt, *sides = take(row, "prompt", "chosen", "rejected")
        if any(name not in row for name in ("prompt", "chosen", "rejected")):
            return refuse("it needs prompt, chosen and rejected: KeyError", "Export it as nemo_rl.")
        if not (is_text(prompt) or is_messages(prompt)):
            return refuse(f"prompt is {describe(prompt)}: TypeError", "Export it as nemo_rl.")
        if is_text(*sides):
            return Reading("prompt_key, chosen_key, rejected_key")
        nested = Problem(
            "misreads",
            f"chosen is {describe(sides[0])}, which is put into the content of a turn as it is",
            "Export it as nemo_rl, for dataset_name: PreferenceDataset.",
        )
        return Reading("prompt_key, chosen_key, rejected_key", [nested])
