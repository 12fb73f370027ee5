"""open-instruct's DPO."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_messages, take


class OpenInstructConfig(ConsumerConfig):
    kind: Literal["open_instruct"] = "open_instruct"


class OpenInstruct(Consumer):
    """open-instruct (e6c3044, 2026-08-20), dataset_transformation.py,
    preference_tulu_tokenize_and_truncate_v1: whole conversations whose last turns differ."""

    config: OpenInstructConfig
    title = "open-instruct DPO"
    reads = frozenset({"chosen", "rejected"})
    exports = ("open_instruct",)

    def read(self, row: Row) -> Reading:
        sides = take(row, "chosen", "rejected")
        if not is_messages(*sides):
            return refuse(
                f"chosen is {describe(sides[0])}, rejected {describe(sides[1])}: expected whole "
                "conversations",
                "Export it as open_instruct.",
            )
        if min(map(len, sides)) < 2:
            return Reading(
                "whole conversations",
                [
                    Problem(
                        "misreads",
                        "chosen or rejected is the response alone: its prompt is not trained on",
                        "Export it as open_instruct.",
                    )
                ],
            )
        if sides[0][:-1] != sides[1][:-1]:
            return Reading(
                "whole conversations",
                [
                    Problem(
                        "misreads",
                        "they differ before their last turn, which alone is trained on",
                        "Cut both at the first turn that differs.",
                    )
                ],
            )
        return Reading("whole conversations")
