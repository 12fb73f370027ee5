"""Argilla 2.8: a folder that `rg.Dataset.from_disk` reads, and the records that it exports.

Its page puts the text of fields without markdown into HTML as it is, so texts are escaped here.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import orjson

from prefdata.review.answers import Answer
from prefdata.review.tasks import ROLES, Task

QUESTION, COMMENT, JUDGES = "better", "why", "judges"
_CHOICES = {"first": "The first", "second": "The second", "tie": "Both equally"}
_STATUSES = {"submitted": None, "draft": "draft", "discarded": "skipped"}


def write_files(tasks: Sequence[Task], guidelines: str) -> dict[str, bytes]:
    """The files of the folder, by name."""
    shows_judges = any(task.judges for task in tasks)
    return {
        ".argilla/dataset.json": orjson.dumps({"name": "review", "guidelines": guidelines}),
        ".argilla/settings.json": orjson.dumps(_describe_settings(guidelines, shows_judges)),
        "records.json": orjson.dumps([_write_record(task, shows_judges) for task in tasks]),
    }


def is_record(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of Argilla's records."""
    return "_server_id" in row or f"{QUESTION}.responses" in row


def read_record(row: Mapping[str, Any], take_unmarked: bool) -> Iterator[Answer]:
    """The answers in a record, nested (`to_list()`, `to_disk()`) or flat
    (`to_list(flatten=True)`). Only the flat form says which answers were submitted.

    Args:
        row: The record.
        take_unmarked: Take answers whose status is not known.
    """
    nested = isinstance(row.get("responses"), dict)
    metadata = row.get("metadata") if nested else row
    drawn = metadata if isinstance(metadata, dict) else {}
    about: dict[str, Any] = {name: drawn.get(name) for name in ("stratum", "probability")}
    given = _list_nested(row) if nested else _list_flat(row)
    comments = {user: value for question, user, _, value in given if question == COMMENT}
    said = [each for each in given if each[0] == QUESTION]
    # Who wrote a comment alone has begun, and chosen nothing.
    said += [
        (QUESTION, user, status, None)
        for question, user, status, _ in given
        if question == COMMENT and user not in {other for _, other, _, _ in said}
    ]
    if not said:
        yield Answer(row.get("id"), fault="not_answered")
    for _, user, status, value in said:
        fault = _STATUSES.get(status, "draft") if status is not None else "no_status"
        if fault == "no_status" and take_unmarked:
            fault = None
        if fault is None and value is not None and str(value) not in _CHOICES:
            fault = "unknown_choice"
        yield Answer(
            row.get("id"),
            annotator=user,
            choice=value if fault is None else None,
            comment=comments.get(user),
            fault=fault,
            **about,
        )


_Given = tuple[str, str | None, str | None, Any]
"""Question, user, status and value of an answer."""


def _list_nested(row: Mapping[str, Any]) -> list[_Given]:
    return [
        (question, _read_user(each.get("user_id")), each.get("status"), each.get("value"))
        for question, answers in row["responses"].items()
        for each in _take_list(answers)
        if isinstance(each, dict)
    ]


def _list_flat(row: Mapping[str, Any]) -> list[_Given]:
    return [
        (question, _read_user(user), status, value)
        for question in (QUESTION, COMMENT)
        for value, user, status in zip_longest(
            _take_list(row.get(f"{question}.responses")),
            _take_list(row.get(f"{question}.responses.users")),
            _take_list(row.get(f"{question}.responses.status")),
        )
    ]


def _take_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _read_user(user: Any) -> str | None:
    # A user that is not known is exported as str(None).
    return None if user in (None, "", "None") else str(user)


def _write_record(task: Task, shows_judges: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "prompt": [
            {"role": ROLES[role], "content": html.escape(text, quote=False)}
            for role, text in task.prompt
        ],
        "first": html.escape(task.first, quote=False),
        "second": html.escape(task.second, quote=False),
    }
    if shows_judges:
        fields[JUDGES] = html.escape(task.describe_judges(), quote=False)
    return {
        "id": str(task.id),
        "fields": fields,
        "metadata": {"stratum": task.stratum, "probability": task.probability},
        "suggestions": {},
        "responses": {},
        "vectors": {},
    }


def _describe_settings(guidelines: str, shows_judges: bool) -> dict[str, Any]:
    shown = [
        _field("prompt", "Prompt", "chat"),
        _field("first", "The first response", "text"),
        _field("second", "The second response", "text"),
    ]
    if shows_judges:
        shown.append(_field(JUDGES, "Judges: P(the first is better)", "text"))
    options = [{"value": name, "text": text, "description": None}
               for name, text in _CHOICES.items()]  # fmt: skip
    choices = {"type": "label_selection", "options": options, "visible_options": len(options)}
    return {
        "guidelines": guidelines,
        "questions": [
            _question(QUESTION, "Which response is better?", True, choices),
            _question(COMMENT, "Why?", False, {"type": "text", "use_markdown": False}),
        ],
        "fields": shown,
        "vectors": [],
        "metadata": [
            _metadata("stratum", {"type": "terms", "values": None}),
            _metadata("probability", {"type": "float"}),
        ],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _field(name: str, title: str, kind: str) -> dict[str, Any]:
    return {"name": name, "title": title, "required": True,
            "settings": {"type": kind, "use_markdown": False}}  # fmt: skip


def _question(name: str, title: str, required: bool, settings: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "title": title, "required": required, "settings": settings}


def _metadata(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    # Why a task was chosen is nothing that annotators should see.
    return {"name": name, "title": name, "settings": settings, "visible_for_annotators": False}
