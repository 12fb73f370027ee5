"""TRL's DPOTrainer."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row
from prefdata.consumers.trl.pairs import COLUMNS, read_pair


class TrlDpoConfig(ConsumerConfig):
    kind: Literal["trl_dpo"] = "trl_dpo"


class TrlDpo(Consumer):
    """trl 1.16.0, trainer/dpo_trainer.py, DPOTrainer._prepare_dataset."""

    config: TrlDpoConfig
    title = "TRL 1.16 DPOTrainer"
    reads = COLUMNS
    exports = ("trl", "reward_conditioned")

    def read(self, row: Row) -> Reading:
        return read_pair(row)
