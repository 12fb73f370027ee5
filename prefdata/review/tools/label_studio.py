"""Label Studio: a labelling configuration and tasks, and its exports in JSON and JSON-MIN.

Its tag `Text` shows texts as they are, so nothing is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import orjson

from prefdata.review.answers import Answer, Choice
from prefdata.review.tasks import ROLES, Task

COMPARISON, TIE, COMMENT = "comparison", "tie", "why"
_SIDES: dict[str, Choice] = {"left": "first", "right": "second"}
_CONFIG = """\
<View>
  <Style>.htx-text {{ white-space: pre-wrap; }}</Style>
  <Header value="{guidelines}"/>
  <Header value="Prompt" size="4"/>
  <Text name="prompt" value="$prompt" valueType="text"/>
  <Header value="Which response is better? The first is on the left." size="4"/>
  <Pairwise name="comparison" toName="first,second"/>
{judges}  <View style="display: grid; grid-template-columns: 1fr 1fr; gap: 1em">
    <Text name="first" value="$first" valueType="text"/>
    <Text name="second" value="$second" valueType="text"/>
  </View>
  <Header value="Or, instead of choosing one:" size="4"/>
  <Choices name="tie" toName="prompt" choice="single" required="false">
    <Choice value="tie"/>
  </Choices>
  <TextArea name="why" toName="prompt" placeholder="Why?" maxSubmissions="1" required="false"/>
</View>
"""
_JUDGES = """\
  <Header value="Judges: P(the first is better)" size="4"/>
  <Text name="judges" value="$judges" valueType="text"/>
"""
# As a text: its checks refuse predictions of a Pairwise, whose to_name is its own.


def write_files(tasks: Sequence[Task], guidelines: str) -> dict[str, bytes]:
    """The labelling configuration and the tasks, by name."""
    judges = _JUDGES if any(task.judges for task in tasks) else ""
    return {
        "config.xml": _CONFIG.format(guidelines=escape(guidelines), judges=judges).encode(),
        "tasks.json": orjson.dumps([_write_task(task) for task in tasks]),
    }


def is_task(row: Mapping[str, Any]) -> bool:
    """Whether a row is a task of an export, in JSON or JSON-MIN."""
    return isinstance(row.get("data"), dict) or "annotation_id" in row


def read_task(row: Mapping[str, Any]) -> Iterator[Answer]:
    """The answers to a task in JSON, with all of them, or the one answer of a row in JSON-MIN."""
    whole = isinstance(row.get("data"), dict)
    data = row["data"] if whole else row
    about = {
        "id": data.get("task_id"),
        "stratum": data.get("stratum"),
        "probability": data.get("probability"),
    }
    if not whole:
        fault = "not_answered" if row.get("annotation_id") is None else None
        results = _list_short(row)
        yield _read_answer(about, row.get("annotator"), results, fault)
        return
    answers = _take_objects(row.get("annotations"))
    for each in answers:
        skipped = each.get("was_cancelled") or each.get("skipped")
        yield _read_answer(
            about,
            each.get("completed_by"),
            list(_list_results(each.get("result"))),
            "skipped" if skipped else None,
        )
    drafts = _take_objects(row.get("drafts"))
    for each in drafts:
        yield _read_answer(about, each.get("user"), [], "draft")
    if not answers and not drafts:
        yield _read_answer(about, None, [], "not_answered")


_Result = tuple[str, str]
"""The control's name and what was chosen or written."""


def _take_objects(value: Any) -> list[dict[str, Any]]:
    listed = value if isinstance(value, list) else []
    return [each for each in listed if isinstance(each, dict)]


def _list_results(results: Any) -> Iterator[_Result]:
    for each in _take_objects(results):
        yield from ((str(each.get("from_name")), said) for said in _list_said(each.get("value")))


def _list_short(row: Mapping[str, Any]) -> list[_Result]:
    """The results of a row in JSON-MIN: a value alone where it is the only one, else a list."""
    found = []
    for name in (COMPARISON, TIE, COMMENT):
        value = row.get(name)
        for each in value if isinstance(value, list) else [value]:
            said = [each] if isinstance(each, str) else _list_said(each)
            found += [(name, text) for text in said]
    return found


def _list_said(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    said: list[Any] = []
    for name in ("selected", "choices", "text"):
        given = value.get(name)
        said += given if isinstance(given, list) else [given]
    return [each for each in said if isinstance(each, str)]


def _read_answer(
    about: Mapping[str, Any], who: Any, results: Sequence[_Result], fault: str | None
) -> Answer:
    # By id: an e-mail address has no place in a dataset.
    who = who.get("id") or who.get("email") if isinstance(who, dict) else who
    selected = [said for name, said in results if name == COMPARISON]
    ties = [said for name, said in results if name == TIE]
    choice: Choice | None = None
    if fault is None:
        if len(selected) + len(ties) > 1:
            fault = "two_choices"
        elif ties:
            choice = "tie" if ties == ["tie"] else None
        elif selected:
            choice = _SIDES.get(selected[0])
        if fault is None and choice is None and (selected or ties):
            fault = "unknown_choice"
    comments = [said for name, said in results if name == COMMENT]
    return Answer(
        **about,
        annotator=None if who in (None, "") else str(who),
        choice=choice,
        comment="\n".join(comments) or None,
        fault=fault,
    )


def _write_task(task: Task) -> dict[str, Any]:
    turns = [
        text if len(task.prompt) == 1 else f"{ROLES[role]}: {text}" for role, text in task.prompt
    ]
    data = {
        "task_id": str(task.id),
        "prompt": "\n\n".join(turns),
        "first": task.first,
        "second": task.second,
        "stratum": task.stratum,
        "probability": task.probability,
    }
    return {"data": data | ({"judges": task.describe_judges()} if task.judges else {})}
