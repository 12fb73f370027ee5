"""Several questions one after the other: the next is asked only where the last was answered."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement, Sampling
from prefdata.inference.loop import Inference
from prefdata.judges.asking.verdict import AskingConfig, unreadable


class WritingConfig(AskingConfig):
    trace_tokens: int = Field(1024, gt=0, description="Longest text before the verdict.")
    temperature: float = Field(0.0, ge=0, description="At which that text is sampled.")


class Writing:
    """What a judge has its model write before the verdict."""

    def __init__(self, config: WritingConfig, where: str) -> None:
        self.model = config.model
        self.where = where
        self.sampling = Sampling(temperature=config.temperature, max_tokens=config.trace_tokens)

    def requirement(self) -> Requirement:
        """The model has to generate."""
        return Requirement.of(self.model, "generate", self.sampling)

    def ask(self, inference: Inference, rows: pl.DataFrame) -> pl.DataFrame:
        """`trace` (what was written, without thoughts), `unscored` (why nothing whole was).

        `rows` hold place and messages.
        """
        asked = inference.ask(
            self.model,
            "generate",
            self.sampling,
            rows.with_columns(sample_index=pl.lit(0, dtype=pl.Int64)),
        )
        # A text that was cut off may have said only half of what there is to say for a response.
        return unreadable(asked, f"{self.where}.trace_tokens").select(
            "unscored",
            trace=pl.when(pl.col("unscored").is_null()).then("own").otherwise("written"),
        )


def where_sound(rows: pl.DataFrame, ask: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """The rows with what `ask` finds for those that have no reason in `unscored` yet.

    `ask` returns one row a row, in order, with an `unscored` of its own. The other rows keep their
    reason and have null in its columns.
    """
    numbered = rows.with_row_index("row")
    sound = numbered.filter(pl.col("unscored").is_null())
    found = ask(sound.drop("row")).rename({"unscored": "later"})
    joined = numbered.join(
        pl.concat([sound.select("row"), found], how="horizontal"),
        on="row",
        how="left",
        maintain_order="left",
    )
    return joined.with_columns(unscored=pl.coalesce("unscored", "later")).drop("row", "later")
