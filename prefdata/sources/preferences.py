"""Preferences: any preference dataset, whose pairs become existing responses and rankings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from prefdata.errors import DropRecord
from prefdata.files.rows import Row
from prefdata.parts.inputs import InputPath
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault, Source, SourceConfig
from prefdata.sources.datasets import Dataset, open_dataset
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.annotations import annotate
from prefdata.sources.rows.boundary import refuse_unreadable
from prefdata.sources.rows.conversations import clean_conversation, read_ground_truth
from prefdata.sources.rows.preference_forms import Form, PreferenceRow, detect_form


class ColumnsParams(BaseModel):
    """The columns of a pair; those left out are found by their usual names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str | None = Field(None, description="The column of the prompt.")
    chosen: str | None = Field(None, description="The column of the chosen response.")
    rejected: str | None = Field(None, description="The column of the rejected response.")


class PreferencesConfig(SourceConfig):
    kind: Literal["preferences"] = "preferences"
    path: InputPath = Field(
        description="A file (JSONL, JSON, Parquet), a folder of data files, or a hub id.",
        examples=["more.jsonl"],
    )
    split: str | None = Field(
        None, description="The split of a folder or hub dataset.", examples=["train"]
    )
    subset: str | None = Field(
        None, description="The configuration of a hub dataset.", examples=["default"]
    )
    revision: str | None = Field(
        None, description="The revision of a hub dataset.", examples=["main"]
    )
    columns: ColumnsParams = Field(
        ColumnsParams(),
        description="The columns of a pair; those left out are found by their usual names.",
        examples=[{"prompt": "question"}],
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


class PreferencesSource(Source):
    """Reads rows of a prompt, a chosen and a rejected response, in any form of
    `rows/preference_forms.py`.

    `{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}` becomes a prompt with the responses "4"
    and "5" and a ranking that puts "4" first. So `generate.n: 0`, a judge `human` with
    `annotations: ranking`, the consensus `mean` and the strategy `all_above_margin` reproduce the
    dataset's own pairs.
    """

    config: PreferencesConfig

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def annotation_kind(self) -> AnnotationKind | None:
        return "ranking"

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset. Raises SourceError if it can't be opened."""
        config = self.config
        return open_dataset(config.path, config.split, config.subset, config.revision)

    @cached_property
    def form(self) -> Form | None:
        """The form of the rows, from the first that can be parsed; None if none can. Raises
        SourceError if it is not a preference dataset."""
        for row in self.dataset.rows():
            if not isinstance(row.value, DropRecord):
                columns = self.config.columns.model_dump(exclude_none=True)
                return detect_form(row.value, self.name, columns)
        return None

    def check(self) -> None:
        _ = self.form

    def count_rows(self) -> int:
        count = self.dataset.count_rows()
        return min(count, self.config.limit or count)

    def rows(self) -> Iterator[Row]:
        return islice(self.dataset.rows(), self.config.limit)

    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        pair = self.read_pair(value, max_prompt_chars)
        field, source = self.config.ground_truth_field, value.get("source")
        return SourceRow(
            pair.prompt,
            source if isinstance(source, str) else None,
            read_ground_truth(value.get(field), field),
            *annotate(
                pair.prompt,
                [pair.chosen, pair.rejected],
                [1.0, 2.0],
                kind="ranking",
                annotator=self.config.annotator,
                tools=pair.tools,
            ),
            tools=pair.tools,
        )

    def read_pair(self, value: Any, max_prompt_chars: int) -> PreferenceRow:
        """The pair of a row, its prompt normalised.

        Raises:
            DropRecord: The row is faulty.
            NoFault: The row is valid but prefers neither response.
        """
        assert self.form is not None
        if not isinstance(value, dict):
            raise DropRecord("not_an_object", f"found {type(value).__name__}, expected an object")
        with refuse_unreadable():
            pair = self.form.read(value)
            turns = clean_conversation(pair.prompt, max_prompt_chars, pair.tools)
        if pair.chosen == pair.rejected:
            raise NoFault("identical_responses", "the chosen and the rejected response are equal")
        return replace(pair, prompt=turns)
