"""LLaMA-Factory's DPO and reward models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row
from prefdata.consumers.conversations import alternates, describe, is_messages, is_text, take

_FIELDS = ("conversations", "messages", "prompt", "instruction", "question")
ASKING, ANSWERING = ("user", "observation"), ("assistant", "function_call")
_SHAREGPT = {"human": "user", "gpt": "assistant"}


class LlamaFactoryConfig(ConsumerConfig):
    kind: Literal["llama_factory"] = "llama_factory"


class LlamaFactory(Consumer):
    """llamafactory 0.9.5, data/converter.py, SharegptDatasetConverter and AlpacaDatasetConverter;
    data/processor/pairwise.py, PairwiseDatasetProcessor.preprocess_dataset: rows of another form
    are dropped with a warning. `dataset_info.json` may name columns and tags."""

    config: LlamaFactoryConfig
    title = "LLaMA-Factory 0.9.5 ranking: true"
    reads = frozenset({*_FIELDS, "chosen", "rejected"})
    exports = ("llama_factory",)

    def read(self, row: Row) -> Reading:
        chosen, rejected = row.get("chosen"), row.get("rejected")
        if is_text(chosen, rejected):
            if any(is_text(row.get(name)) for name in _FIELDS):
                return Reading("formatting: alpaca")
            return _drop("chosen and rejected are texts, and there is no instruction beside them")
        sides = _rename_tags([chosen, rejected])
        if not is_messages(sides):
            return _drop(
                f"chosen is {describe(chosen)}: sharegpt takes one message, alpaca text, each with "
                "its prompt in a column"
            )
        lists = [value for value in take(row, *_FIELDS) if isinstance(value, list)]
        turns = _rename_tags(lists[0]) if lists else []
        if not is_messages(turns):
            return _drop("chosen is one message, and there is no list of messages beside it")
        spoken = alternates(turns, ASKING, ANSWERING) and turns[-1]["role"] in ASKING
        if not spoken or any(side["role"] not in ANSWERING for side in sides):
            return _drop("the turns are not user and assistant in turn, ending with the user's")
        return Reading("formatting: sharegpt")


def _rename_tags(messages: Sequence[Any]) -> list[Any]:
    """The messages, those of from and value as role and content: `tags` can name either."""
    return [
        {"role": _SHAREGPT.get(m["from"], m["from"]), "content": m.get("value")}
        if isinstance(m, dict) and isinstance(m.get("from"), str)
        else m
        for m in messages
    ]


def _drop(what: str) -> Reading:
    remedy = "Export it as llama_factory, which writes dataset_info.json too."
    return Reading(None, [Problem("drops", what, remedy)])
