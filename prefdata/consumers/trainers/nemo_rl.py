"""NeMo-RL's DPO and reward models, on ranked completions."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import is_messages, take


class NemoRlConfig(ConsumerConfig):
    kind: Literal["nemo_rl"] = "nemo_rl"


class NemoRl(Consumer):
    """NeMo-RL (commit 7ea279ab, 2026-08-22), data/datasets/preference_datasets, PreferenceDataset;
    data/processors.py, preference_preprocessor: two completions, the lower rank is the better."""

    config: NemoRlConfig
    title = "NeMo-RL PreferenceDataset"
    reads = frozenset({"context", "completions"})
    exports = ("nemo_rl",)

    def read(self, row: Row) -> Reading:
        context, completions = take(row, "context", "completions")
        if not is_messages(context) or not isinstance(completions, list):
            return refuse(
                "there is no context with ranked completions: KeyError", "Export it as nemo_rl."
            )
        if len(completions) != 2 or not all(
            isinstance(each, dict) and is_messages(each.get("completion")) for each in completions
        ):
            return refuse("completions are not two conversations", "Export it as nemo_rl.")
        if completions[0].get("rank") == completions[1].get("rank"):
            tie = Problem(
                "crashes", "the two ranks are equal: NotImplementedError", "Leave ties out."
            )
            return Reading("ranked completions", [tie])
        return Reading("ranked completions")
