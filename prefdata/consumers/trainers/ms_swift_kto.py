"""ms-swift's KTO."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_messages


class MsSwiftKtoConfig(ConsumerConfig):
    kind: Literal["ms_swift_kto"] = "ms_swift_kto"


class MsSwiftKto(Consumer):
    """ms_swift 4.6.0, dataset/preprocessor/core.py, RowPreprocessor._check_messages;
    rlhf_trainers/kto_trainer.py: messages and label."""

    config: MsSwiftKtoConfig
    title = "ms-swift 4.6 kto"
    reads = frozenset({"messages", "conversations", "label"})
    exports = ("ms_swift_kto",)

    def read(self, row: Row) -> Reading:
        turns = row.get("messages", row.get("conversations"))
        if is_messages(turns) and isinstance(row.get("label"), bool):
            return Reading("messages and label")
        return refuse(
            f"messages is {describe(turns)}, label {describe(row.get('label'))}: expected a list "
            "of messages, and true or false",
            "Export it as ms_swift_kto.",
        )
