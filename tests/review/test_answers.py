"""Which answers count as judgments, and why the others do not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review.filling import fill_argilla, fill_label_studio

from prefdata.reports.review.answers import read_answers
from prefdata.review.answers import Answer, Collected, collect_judgments
from prefdata.review.ids import TaskId, parse_id
from prefdata.review.tasks import Task, build_tasks
from prefdata.review.tools import argilla, label_studio

hexids = st.binary(min_size=16, max_size=16).map(bytes.hex)
ONE = TaskId("0" * 32, "a" * 32, "b" * 32)
TWO = TaskId("0" * 32, "a" * 32, "c" * 32)


@settings(max_examples=20)
@given(hexids, hexids, hexids, st.sampled_from(["a", "b", "tie"]))
def test_a_choice_is_turned_back(prompt: str, a: str, b: str, best: str) -> None:
    """Whichever side is chosen, also where the comparison is shown turned round."""
    tasks = [TaskId(prompt, a, b, is_repeat) for is_repeat in (False, True)]
    assert tasks[0].a_is_first != tasks[1].a_is_first
    for task in tasks:
        choice = (
            "tie" if best == "tie" else "first" if task.a_is_first == (best == "a") else "second"
        )
        assert task.read_choice(choice) == {"a": 1.0, "b": 0.0, "tie": 0.5}[best]
        assert parse_id(str(task)) == task


def test_half_of_the_comparisons_are_turned_round() -> None:
    tasks = [TaskId(f"{n:032x}", "a" * 32, "b" * 32) for n in range(400)]
    assert 160 < sum(task.a_is_first for task in tasks) < 240


def collect(*answers: Answer) -> Collected:
    return collect_judgments(answers, {ONE.comparison, TWO.comparison})


def says(task: TaskId, best: str = "a", who: str | None = "ann", **more: Any) -> Answer:
    choice: Any = "first" if task.a_is_first == (best == "a") else "second"
    return Answer(str(task), who, "tie" if best == "tie" else choice, **more)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("no id", "ann", "first"), "no_task"),
        (Answer(None, "ann", "first"), "no_task"),
        (says(ONE._replace(response_b="d" * 32)), "gone"),
        (says(ONE, who=None), "no_annotator"),
        (Answer(str(ONE), "ann"), "no_choice"),
        (Answer(str(ONE), "ann", fault="draft"), "draft"),
        (Answer(str(ONE), fault="not_answered"), "not_answered"),
    ],
)
def test_what_is_no_judgment_is_counted_and_named(answer: Answer, reason: str) -> None:
    found = collect(says(TWO), Answer(**{**vars(answer), "origin": "file:3"}))
    assert len(found.judgments) == 1
    assert {each: len(named) for each, named in found.left_out.items()} == {reason: 1}
    ((where, what),) = found.left_out[reason]
    assert where == "file:3"
    assert str(answer.id) in what


def test_two_answers_of_one_annotator() -> None:
    found = collect(says(ONE, "a"), says(ONE, "a"), says(TWO, "a"), says(TWO, "b"),
                    says(TWO, "b", "bob"))  # fmt: skip
    assert [(row["annotator"], row["response_b"][0], row["preference"])
            for row in found.judgments] == [("ann", "b", 1), ("bob", "c", 0)]  # fmt: skip
    assert {each: len(named) for each, named in found.left_out.items()} == {
        "repeated": 1,
        "contradictory": 2,
    }


@pytest.mark.parametrize(("again", "consistent"), [("a", 1), ("b", 0), ("tie", 0)])
def test_the_second_showing_says_how_consistent_an_annotator_is(
    again: str, consistent: int
) -> None:
    found = collect(says(ONE._replace(is_repeat=True), again), says(ONE, "a"))
    assert [row["preference"] for row in found.judgments] == [1]
    counts = found.annotators["ann"]
    assert (counts.judgments, counts.repeats, counts.consistent) == (1, 1, consistent)
    # Where the first showing was skipped, the second one is the judgment.
    alone = collect(says(ONE._replace(is_repeat=True), "b"))
    assert [row["preference"] for row in alone.judgments] == [0]
    assert alone.annotators["ann"].repeats == 0


HOSTILE = "<img src=x onerror=alert(1)> & **bold** {{x}} \u202eevil"


def build() -> list[Task]:
    calls = [{"id": None, "name": "look_up", "arguments": '{"a":1}'}]
    turn = {"thoughts": None, "tool_calls": None, "tool_call_id": None, "name": None}
    prompt = {
        "messages": [
            {**turn, "role": "user", "content": "Hi"},
            {**turn, "role": "assistant", "content": "", "tool_calls": calls},
            {**turn, "role": "tool", "content": HOSTILE, "name": "look_up"},
        ],
        "tools": '[{"type":"function","function":{"name":"look_up","description":"finds"}}]',
    }
    responses: dict[str, dict[str, Any]] = {
        "a" * 32: {"text": HOSTILE, "thoughts": "Well.", "tool_calls": None},
        "b" * 32: {"text": "", "thoughts": None, "tool_calls": calls},
    }
    row = {**ONE._asdict(), "stratum": "random", "probability": 0.5}
    return list(build_tasks([row], {ONE.prompt_id: prompt}, responses))


def test_conversations_thoughts_and_tools_can_be_read() -> None:
    (task,) = build()
    data = orjson.loads(label_studio.write_files([task], "Choose.")["tasks.json"])[0]["data"]
    shown = {data["first"], data["second"]}
    escaped = HOSTILE.replace("\u202e", "\\u202e")
    assert shown == {f"[Thoughts]\nWell.\n\n[Response]\n{escaped}", 'Call look_up({"a":1})'}
    assert data["first"].startswith("[Thoughts]") == ONE.a_is_first
    assert data["prompt"] == (
        'System: [Tools]\nlook_up: finds\n\nUser: Hi\n\nAssistant: Call look_up({"a":1})\n\n'
        f"Tool: [look_up]\n{escaped}"
    )


def test_argilla_gets_no_markup_of_others() -> None:
    """Its page puts fields without markdown into HTML as they are."""
    (record,) = orjson.loads(argilla.write_files(build(), "Choose.")["records.json"])
    texts = [record["fields"]["first"], record["fields"]["second"]]
    texts += [turn["content"] for turn in record["fields"]["prompt"]]
    assert not any("<" in text for text in texts)
    assert sum("&lt;img src=x onerror=alert(1)&gt; &amp; **bold**" in text for text in texts) == 2
    settings_ = orjson.loads(argilla.write_files(build(), "Choose.")[".argilla/settings.json"])
    assert not any(each["settings"]["use_markdown"] for each in settings_["fields"])
    assert not any(each["visible_for_annotators"] for each in settings_["metadata"])


GIVEN = [
    {"who": "u-1", "choice": "first", "why": "better"},
    {"who": "u-2", "choice": "tie"},
    {"who": "u-3", "choice": "second", "status": "draft"},
    {"who": "u-4", "choice": "second", "status": "discarded"},
    {"who": None, "choice": "second"},
    {"who": "u-5", "why": "I can't say."},
]


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("flat", {"draft": 1, "skipped": 1, "no_annotator": 1, "no_choice": 1}),
        ("nested", {"no_status": 6}),
        ("json", {"draft": 1, "skipped": 1, "no_annotator": 1, "no_choice": 1}),
        ("json_min", {"no_annotator": 1, "no_choice": 1}),
    ],
)
def test_what_each_form_says_of_an_answer(form: str, wanted: dict[str, int], tmp_path: Any) -> None:
    files = argilla.write_files if form in ("flat", "nested") else label_studio.write_files
    written = files(build(), "Choose.")
    tasks = orjson.loads(written.get("records.json") or written["tasks.json"])
    fill: Any = {
        "flat": fill_argilla,
        "nested": lambda *given: fill_argilla(*given, flat=False),
        "json": fill_label_studio,
        "json_min": lambda *given: fill_label_studio(*given, minimal=True),
    }[form]
    path = tmp_path / "answers.json"
    path.write_bytes(orjson.dumps(fill(tasks, {str(ONE): GIVEN})))
    found = collect(*read_answers(str(path), False))
    assert {each: len(named) for each, named in found.left_out.items()} == wanted
    first = float(ONE.a_is_first)
    judged = {row["annotator"]: (row["preference"], row["trace"]) for row in found.judgments}
    assert judged == ({} if form == "nested" else {"u-1": (first, "better"), "u-2": (0.5, None)})
    known = {} if form == "nested" else {ONE.comparison: ("random", 0.5)}
    assert found.drawn == known


@pytest.mark.parametrize(
    "row",
    [
        {"data": {"task_id": str(ONE)}, "annotations": [{"completed_by": {"id": 3, "email": "x@y"},
         "result": [{"from_name": "comparison", "value": {"selected": "left"}},
                    {"from_name": "tie", "value": {"choices": ["tie"]}}]}]},
        {"data": {"task_id": [1]}, "annotations": "none", "drafts": [4]},
        {"annotation_id": 1, "task_id": str(ONE), "comparison": [{"selected": 3}], "annotator": 1},
        {"_server_id": "s", "id": str(ONE), "responses": {"better": [{"value": ["first"],
         "user_id": "u", "status": "submitted"}, 4], "why": 3}},
        {"better.responses": ["first", "second"], "better.responses.users": ["u"], "id": str(ONE)},
    ],
)  # fmt: skip
def test_what_no_tool_writes_is_no_judgment(row: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(orjson.dumps(row))
    found = collect(*read_answers(str(path), False))
    assert not found.judgments
    assert found.left_out
