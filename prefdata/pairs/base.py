"""The contract of a pairing strategy."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import polars as pl

from prefdata.parts import Part, PartConfig


class StrategyConfig(PartConfig):
    """A strategy's settings."""


class Strategy(Part):
    """Chooses pairs from the comparisons on which there is a label.

    `comparisons` comes turned to the preferred side: prompt_id, chosen_id, rejected_id,
    soft_label (P(chosen ≻ rejected) > 0.5), agreement, flag, chosen, rejected (the texts, to
    break ties by content and never by an id), and for a strategy that `needs_ches` ches,
    ches_normalized and last_hidden_inner_product of that pair, null where the stage `score` has
    none. The result is the same rows with `reason`: null makes a pair.
    """

    config: StrategyConfig
    most: ClassVar[int | None] = None
    """Pairs that it makes of a prompt at most; None: as many as there are comparisons."""
    needs_ches: ClassVar[bool] = False

    @abstractmethod
    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        """The comparisons with `reason` (null: a pair) and `detail`."""
