"""Vectors that an engine returned: all of one model are of one length, and form a matrix."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from prefdata.engines.base import OPERATIONS, Operation
from prefdata.errors import ModelError

_VECTOR = pl.List(pl.Float32())
_OTHERS = (
    "bad_response: a vector of {} numbers, most of this model's have {}: is another model behind "
    "its name?"
)


class Lengths:
    """The lengths of the vectors of one model, of which the commonest is taken for right: a vector
    of another one fits no matrix with the others.

    Args:
        operation: The operation that returned them. One without vectors has no wrong lengths.
    """

    def __init__(self, operation: Operation) -> None:
        columns = OPERATIONS[operation].result.items()
        self._columns = [name for name, kind in columns if kind == _VECTOR]
        self._counts: Counter[int] = Counter()

    def count(self, results: pl.DataFrame) -> None:
        """Count the vectors of more results."""
        if self._columns:
            lengths = results[self._columns[0]].list.len().drop_nulls()
            self._counts.update(dict(lengths.value_counts().iter_rows()))

    def drop_others(self, results: pl.DataFrame) -> pl.DataFrame:
        """The results without those of another length."""
        return results if self._fits(results) else results.filter(self._is_other().not_())

    def fail_others(self, results: pl.DataFrame) -> pl.DataFrame:
        """The results, those of another length as failed requests."""
        if self._fits(results):
            return results
        other = self._is_other()
        length = pl.col(self._columns[0]).list.len()
        reason = pl.format(_OTHERS, length, pl.lit(self._find_common()))
        values = [name for name in results.columns if name not in ("key", "error")]
        return results.with_columns(
            pl.when(other).then(reason).otherwise("error").alias("error"),
            *(pl.when(~other).then(name).alias(name) for name in values),
        )

    def _fits(self, results: pl.DataFrame) -> bool:
        return len(self._counts) < 2 or not results.height

    def _is_other(self) -> pl.Expr:
        lengths = pl.col(self._columns[0]).list.len()
        return (lengths != self._find_common()).fill_null(False)

    def _find_common(self) -> int:
        return max(self._counts, key=lambda length: (self._counts[length], -length))


def matrix(vectors: pl.Series) -> np.ndarray:
    """A column of n lists of length d as an (n, d) float64 matrix; (0, 0) if there are no rows.

    Raises:
        ModelError: They are of different lengths.
    """
    if not len(vectors):
        return np.zeros((0, 0))
    require_one_length(vectors)
    return vectors.explode().to_numpy().astype(np.float64).reshape(len(vectors), -1)


def require_one_length(vectors: pl.Series) -> None:
    """Raise ModelError if the vectors of a column, from several calls, are of different lengths."""
    lengths = vectors.list.len().unique().sort().to_list()
    if len(lengths) > 1:
        raise ModelError(
            f"a model's vectors have {' and '.join(map(str, lengths))} numbers",
            "Another model was put behind its name: set another models.NAME.revision.",
        )
