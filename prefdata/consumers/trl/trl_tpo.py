"""TRL's TPOTrainer."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_messages, is_text
from prefdata.consumers.trl.pairs import COLUMNS, read_pair


class TrlTpoConfig(ConsumerConfig):
    kind: Literal["trl_tpo"] = "trl_tpo"


class TrlTpo(Consumer):
    """trl 1.16.0, experimental/tpo/tpo_trainer.py, TPOTrainer._prepare_dataset: pairs, and a third
    response, `reference`."""

    config: TrlTpoConfig
    title = "TRL 1.16 TPOTrainer"
    reads = COLUMNS | {"reference"}
    exports = ("trl_tpo",)

    def read(self, row: Row) -> Reading:
        if "reference" not in row:
            return refuse(
                "there is no column reference: KeyError: 'reference'", "Export it as trl_tpo."
            )
        reading, third = read_pair(row), row["reference"]
        same = is_messages(third) if is_messages(row.get("chosen")) else is_text(third)
        if reading.taken_as and not same:
            return refuse(
                f"reference is {describe(third)}, chosen {describe(row['chosen'])}: TypeError",
                "Bring reference into the form of chosen.",
            )
        return reading
