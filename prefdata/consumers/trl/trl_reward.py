"""TRL's RewardTrainer."""

from __future__ import annotations

from typing import Literal

from prefdata.consumers.base import Consumer, ConsumerConfig, Problem, Reading, Row
from prefdata.consumers.conversations import describe, explain_null_keys, is_messages, is_text
from prefdata.consumers.trl.pairs import COLUMNS, explain_unread, read_pair


class TrlRewardConfig(ConsumerConfig):
    kind: Literal["trl_reward"] = "trl_reward"


class TrlReward(Consumer):
    """trl 1.16.0, trainer/reward_trainer.py, RewardTrainer._prepare_dataset and
    DataCollatorForPreference.torch_call: a column margin is taken without being asked for."""

    config: TrlRewardConfig
    title = "TRL 1.16 RewardTrainer"
    reads = COLUMNS | {"margin"}
    exports = ("trl_reward",)

    def read(self, row: Row) -> Reading:
        reading = self._read_sides(row)
        if not reading.taken_as or "margin" not in row:
            return reading
        margin = row["margin"]
        if isinstance(margin, int | float):
            found = Problem(
                "reads",
                "a column margin is read as the loss's margin, -log sigmoid(r_chosen - r_rejected "
                "- margin)",
                "Rename it where it is not meant so: a difference of judges' scores is none.",
            )
        else:
            found = Problem(
                "crashes",
                f"margin is {describe(margin)}: TypeError: must be real number, not NoneType"
                if margin is None
                else f"margin is {describe(margin)}, expected a number: TypeError or ValueError",
                "Remove the column margin, or give every row a number.",
            )
        return reading._replace(problems=[*reading.problems, found])

    def _read_sides(self, row: Row) -> Reading:
        if "prompt" in row or not {"chosen", "rejected"} <= set(row):
            return read_pair(row)
        # Without a prompt each side is the whole conversation.
        sides = row["chosen"], row["rejected"]
        if is_messages(*sides):
            problems = [*explain_null_keys(*sides), *explain_unread(row)]
            return Reading("whole conversations", problems)
        if is_text(*sides):
            return Reading("whole texts", explain_unread(row))
        return read_pair(row)
