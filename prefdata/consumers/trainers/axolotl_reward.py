"""axolotl's reward models."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Reading, Row, refuse
from prefdata.consumers.conversations import is_text


class AxolotlRewardConfig(ConsumerConfig):
    kind: Literal["axolotl_reward"] = "axolotl_reward"


class AxolotlReward(Consumer):
    """axolotl 0.21.0, prompt_strategies/bradley_terry/chat_template.py, _tokenize_single_prompt:
    one turn, all texts; system has to be there, if only empty."""

    config: AxolotlRewardConfig
    title = "axolotl 0.21 reward_model"
    reads = frozenset({"system", "input", "chosen", "rejected"})
    exports = ("axolotl_reward",)

    def read(self, row: Row) -> Reading:
        for name in ("system", "input", "chosen", "rejected"):
            if name not in row:
                return refuse(
                    f"there is no column {name}: KeyError: '{name}'", "Export it as axolotl_reward."
                )
        if not is_text(row["input"], row["chosen"], row["rejected"]):
            return refuse(
                "input, chosen and rejected are not all texts: TypeError",
                "Export it as axolotl_reward.",
            )
        return Reading("type bradley_terry.chat_template")
