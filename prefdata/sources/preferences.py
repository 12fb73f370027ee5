"""Preferences: any preference dataset, whose pairs become existing responses and rankings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault
from prefdata.sources.dataset_source import AnnotatedSource, DatasetSourceConfig
from prefdata.sources.rows.annotated import AnnotatedRow, Given
from prefdata.sources.rows.conversations import (
    Turn,
    check_prompt,
    check_response,
    read_ground_truth,
    read_text,
)
from prefdata.sources.rows.fields import list_unread, nest_fields
from prefdata.sources.rows.preference_forms.detect import SIGNATURES, detect_form
from prefdata.sources.rows.preference_forms.row import Form, PreferenceRow
from prefdata.sources.rows.preference_forms.scores import read_scores


class ColumnsParams(BaseModel):
    """The columns of a pair; those left out are found by their usual names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str | None = Field(None, description="The column of the prompt.")
    chosen: str | None = Field(None, description="The column of the chosen response.")
    rejected: str | None = Field(None, description="The column of the rejected response.")


class PreferencesConfig(DatasetSourceConfig):
    kind: Literal["preferences"] = "preferences"
    columns: ColumnsParams = Field(
        ColumnsParams(),
        description="The columns of a pair; those left out are found by their usual names.",
        examples=[{"prompt": "question"}],
    )
    shared_prefix: bool = Field(
        False,
        description="Rows are whole texts without a prompt beside them: it is what both begin "
        "with, as TRL takes it. Responses that open alike lose that opening.",
    )
    annotator: str = Field(
        "dataset",
        min_length=1,
        description="The name of the annotator to whom its rankings are attributed.",
        examples=["experts"],
    )
    ground_truth_field: str = Field(
        "ground_truth",
        description="The field that verifiers check responses against; rows may lack it.",
        examples=["solution"],
    )

    example: ClassVar = {"path": "pairs.jsonl"}


class PreferencesSource(AnnotatedSource):
    """Reads rows of a prompt, a chosen and a rejected response, in any form of
    `rows/preference_forms`.

    `{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}` becomes a prompt with the responses "4"
    and "5" and a ranking that puts "4" first; scores beside them (`score_chosen`,
    `score_rejected`) are ratings besides. So `generate.n: 0`, a judge `human` with
    `annotations: ranking`, the consensus `mean` and the strategy `all_above_margin` reproduce the
    dataset's own pairs.
    """

    config: PreferencesConfig

    signatures: ClassVar = SIGNATURES

    @property
    def annotation_kinds(self) -> Sequence[AnnotationKind]:
        return ("ranking", "rating")

    @cached_property
    def form(self) -> Form | None:
        """The form of the rows, from the first that can be parsed; None if none can. Raises
        SourceError if it is not a preference dataset."""
        columns = self.config.columns.model_dump(exclude_none=True)
        row = self.first_row
        if self.config.shared_prefix:
            return _share_prefix(*(columns.get(side, side) for side in ("chosen", "rejected")))
        return None if row is None else detect_form(row, self.name, columns)

    @property
    def form_name(self) -> str:
        return self.form.name if self.form else self.kind

    def check(self) -> None:
        _ = self.form

    def list_unread(self, value: Any) -> Iterator[str]:
        beside = (self.config.ground_truth_field, "source", "tools")
        return list_unread(value, nest_fields([*beside, *(self.form.reads if self.form else ())]))

    def read_row(self, row: dict[str, Any]) -> AnnotatedRow:
        assert self.form is not None
        pair = self.form.read(row)
        if pair.chosen == pair.rejected:
            raise NoFault("identical_responses", "the chosen and the rejected response are equal")
        given, scores = self._give("ranking", (1, 2)), read_scores(row)
        field, source = self.config.ground_truth_field, row.get("source")
        return AnnotatedRow(
            pair.prompt,
            [pair.chosen, pair.rejected],
            [given, self._give("rating", scores)] if scores else [given],
            source=source if isinstance(source, str) else None,
            ground_truth=read_ground_truth(row.get(field), field),
            tools=pair.tools,
        )

    def _give(self, kind: AnnotationKind, values: Sequence[float]) -> Given:
        return Given(kind, values, self.config.annotator)


def _share_prefix(chosen: str, rejected: str) -> Form:
    """The form of texts without a prompt beside them: it is what both begin with, without a blank
    at its end."""

    def read(row: dict[str, Any]) -> PreferenceRow:
        texts = [read_text(row.get(name), name) for name in (chosen, rejected)]
        prompt = os.path.commonprefix(texts).removesuffix(" ")
        check_prompt([Turn("user", prompt)])
        one, other = (
            check_response(Turn("assistant", text[len(prompt) :]), name)
            for text, name in zip(texts, (chosen, rejected), strict=True)
        )
        return PreferenceRow([Turn("user", prompt)], one, other)

    return Form("texts that begin alike", (chosen, rejected), read)
