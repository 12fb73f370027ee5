"""LLaMA-Factory's KTO."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import alternates, describe, is_messages
from prefdata.consumers.trainers.llama_factory import ANSWERING, ASKING


class LlamaFactoryKtoConfig(ConsumerConfig):
    kind: Literal["llama_factory_kto"] = "llama_factory_kto"


class LlamaFactoryKto(Consumer):
    """llamafactory 0.9.5, data/converter.py, SharegptDatasetConverter; data/processor/feedback.py,
    FeedbackDatasetProcessor: an empty desired response is read as undesired."""

    config: LlamaFactoryKtoConfig
    title = "LLaMA-Factory 0.9.5 kto_tag"
    reads = frozenset({"conversations", "messages", "kto_tag", "label"})
    exports = ("llama_factory_kto",)

    def read(self, row: Row) -> Reading:
        turns = row.get("conversations", row.get("messages"))
        label = row.get("kto_tag", row.get("label"))
        if not is_messages(turns) or not isinstance(label, bool):
            return refuse(
                f"conversations is {describe(turns)}, kto_tag {describe(label)}: expected a list "
                "of messages, and true or false",
                "Export it as llama_factory_kto.",
            )
        if not alternates(turns, ASKING, ANSWERING) or turns[-1]["role"] not in ANSWERING:
            return Reading(
                None,
                [
                    Problem(
                        "drops",
                        "the turns are not user and assistant in turn, ending with the assistant's",
                        "Export it as llama_factory_kto.",
                    )
                ],
            )
        if label and not turns[-1].get("content"):
            empty = Problem(
                "misreads", "an empty desired response is read as undesired", "Leave the row out."
            )
            return Reading("formatting sharegpt", [empty])
        return Reading("formatting sharegpt")
