"""TRL's trainers that draw responses themselves."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import describe, explain_null_keys, is_messages, is_text


class TrlGrpoConfig(ConsumerConfig):
    kind: Literal["trl_grpo"] = "trl_grpo"


class TrlGrpo(Consumer):
    """trl 1.16.0, trainer/grpo_trainer.py, trainer/rloo_trainer.py and experimental/online_dpo: the
    prompt alone; reward functions get the other columns."""

    config: TrlGrpoConfig
    title = "TRL 1.16 GRPOTrainer, RLOOTrainer, OnlineDPOTrainer"
    reads = frozenset({"prompt"})
    exports = ("trl_prompts",)

    def read(self, row: Row) -> Reading:
        prompt = row.get("prompt")
        if is_messages(prompt):
            return Reading("prompts", explain_null_keys(prompt))
        if is_text(prompt):
            return Reading("prompts, as text")
        found = f"prompt is {describe(prompt)}" if "prompt" in row else "there is no column prompt"
        return refuse(f"{found}: KeyError or TypeError", "Export it as trl_prompts.")
