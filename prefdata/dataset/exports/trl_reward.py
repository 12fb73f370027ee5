"""The form of TRL's RewardTrainer."""

from __future__ import annotations

from typing import Literal

from prefdata.dataset.exports.conversations import ConversationalConfig
from prefdata.dataset.exports.trl import Preferences
from prefdata.records.preference import RewardPreference, StructuredRewardPreference


class TrlRewardConfig(ConversationalConfig):
    kind: Literal["trl_reward"] = "trl_reward"


class TrlReward(Preferences):
    """Preferences for reward models: the rows of `trl`, and `margin`, which TRL's RewardTrainer
    takes for the margin of its loss wherever it finds it.

    The loss is -log sigmoid(r_chosen - r_rejected - margin). The margin is the log-odds of the
    consensus, `soft_label`, so it is in the unit of the loss and never null; certainty counts as
    one in a million. To train without margins, take `trl`, which has no such column.
    """

    config: TrlRewardConfig
    record = RewardPreference
    usage = (
        "from trl import RewardTrainer\n"
        'RewardTrainer("your/model", train_dataset=dataset["train"]).train()'
    )
    structured = StructuredRewardPreference
