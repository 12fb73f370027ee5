"""The contract of a pairing strategy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from prefdata.parts import Part, PartConfig


class StrategyConfig(PartConfig):
    """A strategy's settings."""


class Strategy(Part):
    """Chooses pairs from the labelled comparisons of a prompt."""

    config: StrategyConfig
    most: int | None = None
    """The most pairs that it makes per prompt; None: one for every comparison."""
    needs_ches: ClassVar[bool] = False
    needs_judgments: ClassVar[bool] = False
    needs_rewards: ClassVar[bool] = False
    """Whether it goes by the rewards of the judges that it names, or of any judge."""

    def policies(self) -> Sequence[str]:
        """The policies that its settings name."""
        return ()

    def judges(self) -> Sequence[str]:
        """The judges that its settings name."""
        return ()

    @abstractmethod
    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        """Decide for each labelled comparison whether it becomes a pair.

        Args:
            comparisons: prompt_id, chosen_id, rejected_id, soft_label (P(chosen ≻ rejected) >
                0.5), agreement, flag, chosen and rejected: the texts, to break ties by content and
                never by an id; chosen_policy, rejected_policy and same_form as in `Pair`;
                is_revision, whether one of the two was made of the other. Where the
                strategy `needs_ches` also ches, ches_normalized and last_hidden_inner_product of
                the pair, null where data/ches has none. Where it `needs_judgments`, also judgments:
                a list of `PairJudgment`, every judgment of the comparison.

        Returns:
            The comparisons, in any order, with `reason` (null: it becomes a pair) and `detail`.
        """


def compute_margin() -> pl.Expr:
    """P(chosen ≻ rejected) - P(rejected ≻ chosen).

    Rounded: 2 * 0.7 - 1 is slightly below 0.4, and a label's last bits depend on the ids.
    """
    return (2 * pl.col("soft_label") - 1).round(12)
