"""TRL's conversational preference format with an explicit prompt.

`prompt`, `chosen` and `rejected` are all `list[{role, content}]`, the completions without the
prompt; the other columns are what is known of the pair, and none is called `messages` or
`completion`, by which TRL would mistake the format.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.dataset.exports.base import Export, ExportConfig
from prefdata.records.base import polars_schema
from prefdata.records.preference import Preference


class TrlConfig(ExportConfig):
    kind: Literal["trl"] = "trl"


class Trl(Export):
    """See the module."""

    config: TrlConfig
    record = Preference

    def rows(self, pairs: pl.DataFrame) -> pl.DataFrame:
        return pairs.with_columns(
            prompt="messages", chosen=_assistant("chosen"), rejected=_assistant("rejected")
        ).select(polars_schema(Preference).names())


def _assistant(column: str) -> pl.Expr:
    role = pl.lit("assistant").alias("role")
    return pl.concat_list(pl.struct(role, pl.col(column).alias("content")))
