"""TRL's KTOTrainer."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import describe, explain_null_keys, is_messages, is_text
from prefdata.consumers.trl.pairs import COLUMNS, read_pair


class TrlKtoConfig(ConsumerConfig):
    kind: Literal["trl_kto"] = "trl_kto"


class TrlKto(Consumer):
    """trl 1.16.0, trainer/kto_trainer.py, KTOTrainer._prepare_dataset, and data_utils.py,
    unpair_preference_dataset: pairs are taken apart, and all other columns copied over what that
    made."""

    config: TrlKtoConfig
    title = "TRL 1.16 KTOTrainer"
    reads = COLUMNS | {"label"}
    exports = ("trl_kto",)

    def read(self, row: Row) -> Reading:
        if {"chosen", "rejected"} <= set(row):
            return self._read_pair(row)
        absent = [name for name in ("prompt", "completion", "label") if name not in row]
        if absent:
            return refuse(
                f"there is no column {absent[0]}: KeyError: '{absent[0]}'",
                "Export it as trl_kto: prompt, completion and label, or pairs.",
            )
        prompt, completion, label = row["prompt"], row["completion"], row["label"]
        if not (is_messages(prompt, completion) or is_text(prompt, completion)):
            return refuse(
                f"prompt is {describe(prompt)} and completion {describe(completion)}: TypeError",
                "Bring both into one form: texts, or lists of messages.",
            )
        problems = explain_null_keys(prompt, completion)
        if not isinstance(label, bool | int):
            problems.append(
                Problem(
                    "crashes",
                    f"label is {describe(label)}, expected true or false: TypeError",
                    "Give every row a label that is true or false.",
                )
            )
        return Reading("responses with labels", problems)

    def _read_pair(self, row: Row) -> Reading:
        reading = read_pair(row)
        stray = [name for name in ("label", "completion") if name in row]
        if not reading.taken_as:
            return reading
        problems = list(reading.problems)
        if stray:
            problems.append(
                Problem(
                    "misreads",
                    f"the column {stray[0]} replaces the {stray[0]}s that TRL makes of chosen and "
                    "rejected",
                    f"Remove the column {stray[0]}.",
                )
            )
        return Reading(f"pairs, taken apart into two rows each; {reading.taken_as}", problems)
