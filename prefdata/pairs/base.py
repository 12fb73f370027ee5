"""The contract of a pairing strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from prefdata.config.load import validated


class StrategyConfig(BaseModel):
    """A strategy's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Strategy(ABC):
    """Chooses pairs from the comparisons on which there is a label.

    `comparisons` comes turned to the preferred side: prompt_id, chosen_id, rejected_id,
    soft_label (P(chosen ≻ rejected) > 0.5), agreement, flag, chosen, rejected (the texts, to
    break ties by content and never by an id), and for a strategy that `needs_scores` ches,
    ches_normalized and last_hidden_inner_product of that pair, null where the stage `score` has
    none. The result is the same rows with `reason`: null makes a pair.
    """

    kind: ClassVar[str]
    config_model: ClassVar[type[StrategyConfig]] = StrategyConfig
    most: ClassVar[int | None] = None
    """Pairs that it makes of a prompt at most; None: as many as there are comparisons."""
    needs_scores: ClassVar[bool] = False

    def __init__(self, settings: dict[str, Any], where: str) -> None:
        self.config = validated(self.config_model, settings, where)

    @abstractmethod
    def select(self, comparisons: pl.DataFrame) -> pl.DataFrame:
        """The comparisons with `reason` (null: a pair) and `detail`."""
