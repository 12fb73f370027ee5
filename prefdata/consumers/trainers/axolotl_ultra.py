"""axolotl's DPO with the types that are named after UltraFeedback."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import describe, is_messages, is_text, take


class AxolotlUltraConfig(ConsumerConfig):
    kind: Literal["axolotl_ultra"] = "axolotl_ultra"


class AxolotlUltra(Consumer):
    """axolotl 0.21.0, prompt_strategies/dpo/chatml.py, ultra and argilla_chat (and llama3.py): the
    second message of chosen and rejected, whatever stands there, is the response."""

    config: AxolotlUltraConfig
    title = "axolotl 0.21 type: chatml.ultra"
    reads = frozenset({"prompt", "chosen", "rejected"})
    exports = ()

    def read(self, row: Row) -> Reading:
        sides = take(row, "chosen", "rejected")
        if not is_messages(*sides):
            return refuse(
                f"chosen is {describe(sides[0])}, expected a conversation: TypeError or KeyError",
                "Use type: chat_template.default.",
            )
        if min(map(len, sides)) < 2:
            return refuse(
                "chosen or rejected has one message, and the second is taken: IndexError",
                "Use type: chat_template.default with field_messages: prompt.",
            )
        problems = []
        if any(side[1]["role"] != "assistant" for side in sides):
            problems.append(
                Problem(
                    "misreads",
                    "the second message is not an assistant's, and is trained on as the response",
                    "Use type: chat_template.argilla_chat.",
                )
            )
        lost = sum(len(side) - 2 for side in sides)
        if lost:
            problems.append(
                Problem(
                    "cuts",
                    "the first two messages alone are read",
                    "Use type: chat_template.argilla_chat.",
                    lost,
                    sum(map(len, sides)),
                )
            )
        taken = "ultra" if is_text(row.get("prompt")) else "argilla_chat"
        return Reading(f"type chatml.{taken}", problems)
