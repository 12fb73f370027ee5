"""Filters that look at one text at a time: the prompt, the chosen response, the rejected one.

Each says what is wrong with a text, or null; a pair goes where one of the texts that `of` names has
something wrong with it.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.filters.base import Filter, FilterConfig, Texts, no_fault
from prefdata.filters.duplicates.base import ID, identified
from prefdata.inference.loop import Inference

_NAMES = {"prompt": "prompts", "chosen": "chosen", "rejected": "rejected"}
Part = Literal["prompt", "chosen", "rejected"]


class FlawConfig(FilterConfig):
    of: list[Part] = Field(["chosen"], min_length=1, description="The texts that are looked at.")


class Flaws(Filter):
    """A filter of single texts. `code` and the text's part make the reason."""

    code: ClassVar[str]
    config_model: ClassVar[type[FilterConfig]] = FlawConfig
    config: FlawConfig

    def __init_subclass__(cls) -> None:
        cls.prompt_reasons = frozenset({f"{cls.code}_prompt"})

    @abstractmethod
    def flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        """What is wrong with each row, with its figure and the limit; null: nothing.

        `rows`: text, prompt_id, finished (the response ended its turn; null for a prompt). `texts`
        are all of the bucket.
        """

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        measured = pairs.with_columns(no_fault())
        for part in self.config.of:
            own = ID[_NAMES[part]]
            table = texts.prompts if part == "prompt" else texts.responses
            finished = (
                table["finished"] if "finished" in table.columns else pl.lit(None, dtype=pl.Boolean)
            )
            rows = (
                identified(table)
                .with_columns(table["prompt_id"], finished=finished)
                .join(pairs.select(id=own), on="id", how="semi", maintain_order="left")
            )
            found = rows.select("id", self.flaws(rows, texts).cast(pl.String).alias(_flaw(part)))
            measured = measured.join(
                found, left_on=own, right_on="id", how="left", maintain_order="left"
            )
        return measured

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        parts = self.config.of
        return measured.with_columns(
            reason=pl.coalesce(
                pl.when(pl.col(_flaw(part)).is_not_null()).then(pl.lit(f"{self.code}_{part}"))
                for part in parts
            ),
            detail=pl.coalesce(_flaw(part) for part in parts),
        )


def _flaw(part: str) -> str:
    return f"flaw of {part}"
