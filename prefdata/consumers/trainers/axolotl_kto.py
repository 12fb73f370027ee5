"""axolotl's KTO."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_text, take

_ASKED = ("instruction", "question", "prompt")


class AxolotlKtoConfig(ConsumerConfig):
    kind: Literal["axolotl_kto"] = "axolotl_kto"


class AxolotlKto(Consumer):
    """axolotl 0.21.0, prompt_strategies/kto/chatml.py and llama3.py, argilla, intel and
    prompt_pairs: texts of one turn, and a label."""

    config: AxolotlKtoConfig
    title = "axolotl 0.21 rl: kto"
    reads = frozenset({*_ASKED, "completion", "label"})
    exports = ("axolotl_kto",)

    def read(self, row: Row) -> Reading:
        asked = next((name for name in _ASKED if is_text(row.get(name))), None)
        completion, label = take(row, "completion", "label")
        if asked and is_text(completion) and isinstance(label, bool):
            type_ = {"instruction": "argilla", "question": "intel", "prompt": "prompt_pairs"}[asked]
            return Reading(f"type chatml.{type_}")
        return refuse(
            f"completion is {describe(completion)}, label {describe(label)}: expected an "
            "instruction and a completion as texts, and true or false",
            "Export it as axolotl_kto.",
        )
