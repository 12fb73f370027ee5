"""One row of an annotated source: its responses, and one annotator's annotation of them.

An annotation is a rating or a thumb of one response, or a ranking of several.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from prefdata.errors import DropRecord
from prefdata.hashing.ids import prompt_id, response_id
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.rows.conversations import Turn, check_encodable, encode_structure
from prefdata.sources.rows.messages import read_response

_THUMBS = {"up": 1.0, "down": 0.0, 1: 1.0, 0: 0.0}
"""The values of a thumb; as keys, True equals 1 and False equals 0."""

AnnotatedResponses = tuple[list[dict[str, Any]], dict[str, Any] | None]
"""Responses in the columns of `ExistingResponse`, and one annotation of them in those of
`Annotation`; None where nobody annotated any."""


class AnnotationsParams(BaseModel):
    """The fields of a source's existing responses and annotations: one row per annotation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: AnnotationKind = Field(
        description="rating: a number, more is better; thumb: up or down, true or false, 1 or 0; "
        "ranking: one rank per response, the lowest is the best."
    )
    response_field: str | None = Field(
        None,
        description="The field of the response, or of the list of ranked responses; null: response "
        "or responses.",
    )
    value_field: str | None = Field(
        None,
        description="The field of the rating, thumb or list of ranks; null: the kind's name.",
    )
    annotator_field: str = Field(
        "annotator", description="The field of the annotator's id, which every row needs."
    )
    group_field: str = Field(
        "group", description="The field of the annotator's group; rows may lack it."
    )
    model_field: str = Field(
        "model",
        description="The field of the model that wrote the response, or of the list of the ranked "
        "responses' models; rows may lack it.",
    )
    dimension: str | None = Field(
        None,
        min_length=1,
        description="The quality that the annotations are about; null: the judge's dimension.",
    )

    def columns(self) -> dict[str, str]:
        """The field of the response, value, annotator, group and model."""
        several = self.kind == "ranking"
        return {
            "response": self.response_field or ("responses" if several else "response"),
            "value": self.value_field or self.kind,
            "annotator": self.annotator_field,
            "group": self.group_field,
            "model": self.model_field,
        }


def read_annotation(
    row: dict[str, Any],
    turns: Sequence[Turn],
    params: AnnotationsParams,
    tools: str | None = None,
) -> AnnotatedResponses:
    """The responses and the annotation of a row. A response is text or an assistant's message.

    Args:
        row: The raw row.
        turns: Its prompt, normalised.
        params: Which fields hold what.
        tools: Its tools.

    Raises:
        DropRecord: A field is missing or of another type.
    """
    fields = params.columns()
    annotator = _read_name(row.get(fields["annotator"]), fields["annotator"])
    if annotator is None:
        raise DropRecord(
            "no_annotator",
            f"{fields['annotator']!r} is not here, null or empty",
            "Give every row its annotator's id; annotator_field of the source's annotations names "
            "it.",
        )
    for name in ("response", "value"):
        if row.get(fields[name]) is None:
            raise DropRecord(
                "missing_field",
                f"{fields[name]!r} is not here, or null",
                f"Set {name}_field of the source's annotations.",
            )
    value, field = row[fields["value"]], fields["value"]
    if params.kind == "ranking":
        responses = _read_responses(row[fields["response"]], fields["response"])
        values = _read_ranks(value, field, len(responses))
    else:
        responses = [read_response(row[fields["response"]], fields["response"])]
        values = [
            _read_rating(value, field) if params.kind == "rating" else _read_thumb(value, field)
        ]
    return annotate(
        turns,
        responses,
        values,
        kind=params.kind,
        annotator=annotator,
        models=_read_models(row.get(fields["model"]), fields["model"], len(responses)),
        group=_read_name(row.get(fields["group"]), fields["group"]),
        dimension=params.dimension,
        tools=tools,
    )


def annotate(
    turns: Sequence[Turn],
    responses: Sequence[Turn],
    values: Sequence[float | None],
    kind: AnnotationKind,
    annotator: str,
    models: Sequence[str | None] = (),
    group: str | None = None,
    dimension: str | None = None,
    tools: str | None = None,
) -> AnnotatedResponses:
    """Build responses to a prompt and an annotation of them, both in the order of response ids.

    Args:
        turns: The prompt, normalised.
        responses: The responses, no two alike.
        values: One per response, as in `Annotation`; None: nobody annotated it.
        kind: The kind of the annotation.
        annotator: The annotator's id.
        models: The model that wrote each response; left out: unknown.
        group: The annotator's group.
        dimension: The quality that the annotation is about.
        tools: The prompt's tools.
    """
    prompt = prompt_id((turn[:2] for turn in turns), encode_structure(turns, tools))
    ids = [identify_response(prompt, response) for response in responses]
    order = sorted(range(len(responses)), key=ids.__getitem__)
    annotated = [n for n in order if values[n] is not None]
    authors = models or [None] * len(responses)
    return (
        [
            {
                "response_id": ids[n],
                "text": responses[n].content,
                "model": authors[n],
                "thoughts": responses[n].thoughts,
                "tool_calls": responses[n].tool_calls,
            }
            for n in order
        ],
        {
            "annotator": annotator,
            "group": group,
            "kind": kind,
            "dimension": dimension,
            "responses": [ids[n] for n in annotated],
            "values": [values[n] for n in annotated],
        }
        if annotated
        else None,
    )


def identify_response(prompt: str, response: Turn) -> str:
    """The id of an existing response to the prompt of this id."""
    return response_id(prompt, response.content, encode_structure([response]))


def _read_name(value: Any, field: str) -> str | None:
    """An id as text; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DropRecord(
            "wrong_type", f"{field} is {type(value).__name__}, expected text or a whole number"
        )
    return check_encodable(str(value), field)


def _read_responses(value: Any, field: str) -> list[Turn]:
    if not isinstance(value, list):
        raise DropRecord("wrong_type", f"{field} is {type(value).__name__}, expected a list")
    responses = [
        read_response(response, f"{field}, response {number}")
        for number, response in enumerate(value, 1)
    ]
    if len(responses) < 2:
        raise DropRecord("too_few_responses", f"{field} holds {len(responses)}, expected 2 or more")
    if any(response in responses[:number] for number, response in enumerate(responses)):
        raise DropRecord("repeated_response", f"{field} holds the same response twice")
    return responses


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_rating(value: Any, field: str) -> float:
    if not _is_number(value):
        raise DropRecord("wrong_rating", f"{field} is {_describe(value)}, expected a number")
    return float(value)


def _read_thumb(value: Any, field: str) -> float:
    thumb = _THUMBS.get(value) if isinstance(value, str | int | float) else None
    if thumb is None:
        raise DropRecord(
            "unknown_thumb",
            f"{field} is {_describe(value)}, expected up or down, true or false, 1 or 0",
        )
    return thumb


def _read_ranks(value: Any, field: str, responses: int) -> list[float]:
    """The ranks as 1, 2, … without gaps: only their order counts."""
    if not isinstance(value, list):
        raise DropRecord(
            "wrong_type", f"{field} is {type(value).__name__}, expected a list of ranks"
        )
    if len(value) != responses or any(rank is None for rank in value):
        ranked = sum(rank is not None for rank in value)
        raise DropRecord(
            "incomplete_ranking",
            f"{field} holds {ranked} ranks for {responses} responses",
            "Rank every response of the row, and leave out those that were not ranked.",
        )
    for rank in value:
        if not _is_number(rank):
            raise DropRecord("wrong_rank", f"{field} holds {_describe(rank)}, expected numbers")
    place = {rank: float(number) for number, rank in enumerate(sorted(set(value)), 1)}
    return [place[rank] for rank in value]


def _read_models(value: Any, field: str, responses: int) -> list[str | None]:
    if not isinstance(value, list):
        return [_read_name(value, field)] * responses
    if len(value) != responses:
        raise DropRecord(
            "wrong_type", f"{field} names {len(value)} models for {responses} responses"
        )
    return [_read_name(one, field) for one in value]


def _describe(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:80]!r}"
