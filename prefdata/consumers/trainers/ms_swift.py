"""ms-swift's DPO, ORPO, CPO, SimPO and reward models."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row, refuse
from prefdata.consumers.conversations import is_messages, is_text


class MsSwiftConfig(ConsumerConfig):
    kind: Literal["ms_swift"] = "ms_swift"


class MsSwift(Consumer):
    """ms_swift 4.6.0, dataset/preprocessor/core.py, AutoPreprocessor,
    RowPreprocessor._check_messages and _check_rejected_response: a row at fault is deleted;
    rlhf_trainers/reward_trainer.py, compute_loss: the margin; template/template_inputs.py,
    TemplateInputs.from_dict: the tools."""

    config: MsSwiftConfig
    title = "ms-swift 4.6 rlhf"
    reads = frozenset(
        {
            "messages",
            "conversations",
            "rejected_response",
            "rejected_messages",
            "margin",
            "tools",
            "rejected_tools",
        }
    )
    exports = ("ms_swift",)

    def read(self, row: Row) -> Reading:
        turns = row.get("messages", row.get("conversations"))
        if turns is None or not {"rejected_response", "rejected_messages"} & set(row):
            return refuse(
                "it knows messages and rejected_response, not chosen and rejected: rows without "
                "them are deleted",
                "Export it as ms_swift, or rename with --columns.",
            )
        other = row.get("rejected_messages", row.get("rejected_response"))
        if not is_messages(turns) or turns[-1]["role"] not in ("assistant", "tool_call"):
            return _drop("messages do not end with the assistant's chosen response")
        if other is None or (is_text(other) and other == turns[-1].get("content")):
            return _drop("the rejected response is null, or equal to the chosen one: ValueError")
        problems = []
        if row.get("rejected_messages") and row.get("tools") and not row.get("rejected_tools"):
            problems.append(
                Problem(
                    "misreads",
                    "beside rejected_messages the tools are those of the chosen side alone",
                    "Repeat them in a column rejected_tools.",
                )
            )
        if isinstance(row.get("margin"), int | float):
            problems.append(
                Problem(
                    "reads",
                    "a column margin is read as the margin of a reward model's loss",
                    "Rename it where it is not meant so.",
                )
            )
        return Reading("messages and rejected_response", problems)


def _drop(what: str) -> Reading:
    return Reading(None, [Problem("drops", what, "Leave the row out, or export it as ms_swift.")])
