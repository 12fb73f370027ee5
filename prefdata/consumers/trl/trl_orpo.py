"""TRL's ORPOTrainer and CPOTrainer (SimPO too)."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, stop
from prefdata.consumers.conversations import is_messages
from prefdata.consumers.trl.pairs import COLUMNS, read_pair


class TrlOrpoConfig(ConsumerConfig):
    kind: Literal["trl_orpo"] = "trl_orpo"


class TrlOrpo(Consumer):
    """trl 1.16.0, experimental/orpo/orpo_trainer.py and experimental/cpo/cpo_trainer.py, __init__:
    maybe_extract_prompt, then maybe_apply_chat_template (data_utils.py)."""

    config: TrlOrpoConfig
    title = "TRL 1.16 ORPOTrainer, CPOTrainer"
    reads = COLUMNS | {"label"}
    exports = ("trl",)

    def read(self, row: Row) -> Reading:
        reading = read_pair(row, finds_prompt=True)
        stray = [name for name in ("messages", "completion", "label") if name in row]
        if reading.taken_as and stray and is_messages(row["chosen"]):
            return stop(
                f"a column {stray[0]} stands beside chosen and rejected: KeyError: 'Invalid keys "
                "in the example'",
                f"Remove the column {stray[0]}.",
            )
        return reading
