"""UltraFeedback: several responses to a prompt, each rated by aspect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from prefdata.errors import DropRecord
from prefdata.files.rows import Row, format_of, open_unpacked, read_rows
from prefdata.parts.inputs import InputPath
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault, Source, SourceConfig
from prefdata.sources.file_source import FORMATS
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.annotations import annotate
from prefdata.sources.rows.conversations import Turn, clean_conversation, read_text

OVERALL = "overall"
_NOT_RATED = (None, "", "N/A")


class UltraFeedbackConfig(SourceConfig):
    kind: Literal["ultrafeedback"] = "ultrafeedback"
    path: InputPath = Field(
        description="A file of UltraFeedback's rows (JSONL, JSON, Parquet), compressed or not.",
        examples=["more.jsonl"],
    )
    annotator: str = Field(
        "gpt-4",
        min_length=1,
        description="The name of the annotator to whom the ratings are attributed.",
        examples=["another"],
    )

    example: ClassVar = {"path": "ultrafeedback.jsonl"}


class _Aspect(NamedTuple):
    """A row's completions, and what they are rated on."""

    instruction: Any
    completions: list[dict[str, Any]]
    name: str | None


class UltraFeedbackSource(Source):
    """Reads rows of UltraFeedback (arXiv 2310.01377): every completion becomes a response, every
    aspect a dimension of ratings.

    `{"instruction": "2 + 2?", "completions": [{"model": "m", "response": "4", "annotations":
    {"honesty": {"Rating": "5", …}, …}, "overall_score": 9}, …]}` becomes a prompt whose responses
    have ratings of the dimensions honesty, helpfulness, instruction_following, truthfulness and
    overall, the last one from `overall_score`. Of equal responses the first is kept. Rationales,
    critiques and the system prompts that the models were given are not read.
    """

    config: UltraFeedbackConfig

    @property
    def name(self) -> str:
        return self.config.path

    @property
    def annotation_kind(self) -> AnnotationKind | None:
        return "rating"

    def check(self) -> None:
        format_of(self.config.path, FORMATS)
        open_unpacked(self.config.path).close()

    def count_rows(self) -> int:
        return sum(1 for _ in self.rows())

    def rows(self) -> Iterator[Row]:
        number = 0
        rows = read_rows(self.config.path, format_of(self.config.path, FORMATS))
        for count, row in enumerate(rows):
            if count == self.config.limit:
                return
            for value in _list_aspects(row.value):
                number += 1
                yield Row(number, row.raw, value, f"{self.name}:{row.number}")

    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        assert isinstance(value, _Aspect)
        if not isinstance(value.instruction, str):
            raise DropRecord("missing_field", "no text under 'instruction'")
        turns = clean_conversation([Turn("user", value.instruction)], max_prompt_chars)
        first = {
            read_text(completion.get("response"), "a completion's response"): completion
            for completion in reversed(value.completions)
        }
        if len(first) < 2:
            raise NoFault("too_few_responses", f"{len(first)} different; a comparison needs two")
        responses, annotation = annotate(
            turns,
            [Turn("assistant", text) for text in first],
            [_read_rating(completion, value.name) for completion in first.values()],
            kind="rating",
            annotator=self.config.annotator,
            models=[_name_model(completion) for completion in first.values()],
            dimension=value.name,
        )
        return SourceRow(turns, None, None, responses, annotation)


def _list_aspects(row: Any) -> Iterator[_Aspect | DropRecord]:
    """The row once for each aspect that any of its completions is rated on; once without an aspect
    where there is none; a DropRecord if it can't be read."""
    if isinstance(row, DropRecord):
        yield row
        return
    completions = row.get("completions") if isinstance(row, dict) else None
    if not isinstance(completions, list) or not all(isinstance(c, dict) for c in completions):
        yield DropRecord("missing_field", "no list of completions, each with a response")
        return
    names = {name for each in completions for name in _read_annotations(each)}
    if any(each.get("overall_score") not in _NOT_RATED for each in completions):
        names.add(OVERALL)
    aspects: list[str | None] = [*sorted(names)]
    for name in aspects or [None]:
        yield _Aspect(row.get("instruction"), completions, name)


def _read_annotations(completion: dict[str, Any]) -> dict[str, Any]:
    found = completion.get("annotations")
    rated = found if isinstance(found, dict) else {}
    return {name: each for name, each in rated.items() if isinstance(each, dict)}


def _read_rating(completion: dict[str, Any], aspect: str | None) -> float | None:
    if aspect == OVERALL:
        rating = completion.get("overall_score")
    else:
        rating = _read_annotations(completion).get(aspect or "", {}).get("Rating")
    if rating in _NOT_RATED:
        return None
    try:
        value = float("" if isinstance(rating, bool) else rating)
    except (TypeError, ValueError):
        value = float("nan")
    if not abs(value) <= 1e6:
        raise DropRecord("wrong_rating", f"{aspect}: {rating!r:.40}, expected a number")
    return value


def _name_model(completion: dict[str, Any]) -> str | None:
    name = completion.get("model")
    return name if isinstance(name, str) and name else None
