"""Ranked lists: the responses to a prompt from best to worst, as for LiPO and PRO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from prefdata.errors import DropRecord
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault
from prefdata.sources.dataset_source import AnnotatedSource, DatasetSourceConfig
from prefdata.sources.rows.annotated import AnnotatedRow, Given, list_different
from prefdata.sources.rows.conversations import read_optional_text
from prefdata.sources.rows.messages import read_response
from prefdata.sources.rows.transcripts import read_prompt


class ListwiseConfig(DatasetSourceConfig):
    kind: Literal["listwise"] = "listwise"
    annotator: str = Field(
        "dataset",
        min_length=1,
        description="The name of the annotator to whom the rankings are attributed.",
        examples=["experts"],
    )

    example: ClassVar = {"path": "ranked.jsonl"}


class ListwiseSource(AnnotatedSource):
    """Reads rows of a prompt and its responses, the best first, as for LiPO (arXiv 2402.01878) and
    PRO (arXiv 2306.17492).

    `{"prompt": "2 + 2?", "responses": ["4", "5"], "scores": [2.0, 1.0]}` becomes a prompt, its
    responses, the ranking that puts "4" first, and the scores as ratings, where there are any.
    Prompt and responses are texts or messages. Of equal responses the first is kept.
    """

    config: ListwiseConfig

    reads: ClassVar[Sequence[str]] = (
        *("prompt", "responses", "scores", "tools", "policies", "source"),
    )

    signatures: ClassVar = (("prompt", "responses", "scores", "response_ids"),)

    @property
    def annotation_kinds(self) -> Sequence[AnnotationKind]:
        return ("ranking", "rating")

    def read_row(self, row: dict[str, Any]) -> AnnotatedRow:
        turns, tools = read_prompt(row.get("prompt"), "prompt", row.get("tools"))
        listed = row.get("responses")
        if not isinstance(listed, list):
            raise DropRecord("missing_field", "no list of responses")
        responses = [read_response(each, "a response", tools is not None) for each in listed]
        different = list_different(responses)
        if len(different) < 2:
            raise NoFault("too_few_responses", f"{len(different)} different; it takes two")
        annotator = self.config.annotator
        given = [Given("ranking", range(1, len(listed) + 1), annotator)]
        for name, each in (("scores", row.get("scores")), ("policies", row.get("policies"))):
            if each is not None and (not isinstance(each, list) or len(each) != len(listed)):
                raise DropRecord("wrong_number", f"{name}: not one for each response")
        if row.get("scores") is not None:
            given.append(Given("rating", row["scores"], annotator))
        return AnnotatedRow(
            turns,
            responses,
            given,
            models=[read_optional_text(each) for each in row.get("policies") or ()],
            source=read_optional_text(row.get("source")),
            tools=tools,
        ).keep_responses(different)
