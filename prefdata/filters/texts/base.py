"""The base of filters that examine one text at a time."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import polars as pl
from pydantic import Field

from prefdata.filters.base import FilterConfig, RowFilter, Texts, no_fault
from prefdata.filters.subjects import ID_COLUMN, Subject, select_texts
from prefdata.inference.loop import Inference


class TextFilterConfig(FilterConfig):
    of: list[Subject] = Field(
        ["chosen"],
        min_length=1,
        description="The texts to examine.",
        examples=[["rejected"]],
    )


class TextFilter(RowFilter):
    """Drops a pair where one of the texts that `of` names has a flaw.

    `code` and the subject with the flaw make the reason, such as refusal_chosen.
    """

    code: ClassVar[str]
    config: TextFilterConfig

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if hasattr(cls, "code"):
            cls.prompt_reasons = frozenset({f"{cls.code}_prompt"})

    @abstractmethod
    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        """What is wrong with each text, with the figure and its limit; null: nothing.

        Args:
            rows: text, prompt_id, finished (the response ended its turn; null for a prompt).
            texts: All prompts and responses of the bucket.
        """

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        measured = pairs.with_columns(no_fault())
        for subject in self.config.of:
            id_column = ID_COLUMN[subject]
            table = texts.prompts if subject == "prompt" else texts.responses
            finished = pl.lit(None, dtype=pl.Boolean) if subject == "prompt" else table["finished"]
            rows = (
                select_texts(table)
                .with_columns(table["prompt_id"], finished=finished)
                .join(pairs.select(id=id_column), on="id", how="semi", maintain_order="left")
            )
            flaws = self.describe_flaws(rows, texts).cast(pl.String).alias(_flaw(subject))
            measured = measured.join(
                rows.select("id", flaws),
                left_on=id_column,
                right_on="id",
                how="left",
                maintain_order="left",
            )
        return measured

    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        subjects = self.config.of
        return measured.with_columns(
            reason=pl.coalesce(
                pl.when(pl.col(_flaw(subject)).is_not_null()).then(pl.lit(f"{self.code}_{subject}"))
                for subject in subjects
            ),
            detail=pl.coalesce(_flaw(subject) for subject in subjects),
        )


def _flaw(subject: Subject) -> str:
    return f"flaw of {subject}"
