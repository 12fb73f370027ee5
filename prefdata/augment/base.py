"""The contract of an augmentation, which adds columns to pairs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from prefdata.parts import Part, PartConfig


class AugmentationConfig(PartConfig):
    """An augmentation's settings."""


class Augmentation(Part):
    """Adds columns of `AugmentedPair` to the pairs of one bucket."""

    config: AugmentationConfig
    columns: ClassVar[tuple[str, ...]]
    """The columns of `AugmentedPair` that it fills."""

    def judges(self) -> Sequence[str]:
        """The judges that its settings name; a run refuses those that do not exist."""
        return ()

    @abstractmethod
    def augment(self, pairs: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
        """The pairs, in their order, with `columns`.

        Args:
            pairs: `Pair` rows, with the columns that earlier augmentations added.
            judgments: The bucket's `Judgment` rows.
        """
