"""verl's reinforcement learning."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_messages


class VerlConfig(ConsumerConfig):
    kind: Literal["verl"] = "verl"


class Verl(Consumer):
    """verl 0.9.1, utils/dataset/rl_dataset.py, RLHFDataset; workers/reward_manager/naive.py:
    prompts with what responses are checked against. verl has no trainer of pairs."""

    config: VerlConfig
    title = "verl 0.9 RL"
    reads = frozenset({"data_source", "prompt", "reward_model"})
    exports = ("verl",)

    def read(self, row: Row) -> Reading:
        checked = row.get("reward_model")
        if "data_source" not in row or not isinstance(checked, dict):
            return refuse(
                "it trains on prompts with data_source and reward_model, not on pairs",
                "Export it as verl, for prompts with a ground truth.",
            )
        if not is_messages(row.get("prompt")):
            return refuse(
                f"prompt is {describe(row.get('prompt'))}, expected a list of messages",
                "Export it as verl.",
            )
        return Reading("prompts with rewards")
