"""Agents' traces: several runs of a task become prompts of the turns at which they part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import agent_logs
import orjson
import polars as pl
import pytest
from agent_logs import Call, Say, Step

from prefdata.errors import SourceError
from prefdata.records import Dropped, Prompt
from prefdata.sources.base import Source
from prefdata.sources.merge import drop_duplicates, join_annotations
from prefdata.sources.registry import SOURCES
from prefdata.tables.write import encode

LOOK = Call("cat f.py", "def f(): retrun 1", "I look.")
EDIT = Call("sed -i s/retrun/return/ f.py", "", "I mend it.", "a typo")
TEST = Call("pytest", "1 failed", "I test.")
DONE = Say("Mended.")
ASKED = "Mend f.py."


def open_source(path: Path, **settings: Any) -> Source:
    return SOURCES.parse({"kind": "traces", "path": str(path), **settings})


def ingest(source: Source) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(prompts, dropped) as the stage ingest writes them."""
    source.check()
    frames = [pl.concat(each) for each in zip(*source.read(0, 0.1, 10_000), strict=True)]
    assert sum(map(len, frames)) <= source.count_rows()
    rows, refused, joined = join_annotations(frames[0])
    prompts, again = drop_duplicates(rows)
    dropped = pl.concat([frames[1], refused, again])
    assert len(frames[0]) + len(frames[1]) == len(prompts) + len(dropped) + joined
    encode(Prompt, prompts, "prompts")
    encode(Dropped, dropped, "dropped")
    return prompts.to_dicts(), dropped.sort("origin").to_dicts()


def write_messages(folder: Path, rows: list[Any]) -> Path:
    path = folder / "runs.jsonl"
    path.write_bytes(agent_logs.write_lines(rows))
    return path


def ratings(prompt: dict[str, Any]) -> dict[str, float]:
    """The rating of each response, by its first command or its text."""
    said = {
        r["response_id"]: orjson.loads(r["tool_calls"][0]["arguments"])["command"]
        if r["tool_calls"]
        else r["text"]
        for r in prompt["responses"]
    }
    (annotation,) = prompt["annotations"]
    assert annotation["kind"] == "rating"
    rated = zip(annotation["responses"], annotation["values"], strict=True)
    return {said[i]: value for i, value in rated}


def write_form(folder: Path, form: str, runs: list[tuple[list[Step], float]]) -> dict[str, Any]:
    """Logs of one task in a form, and the source's settings for them."""
    if form == "messages":
        rows = [agent_logs.message_row("t", ASKED, steps, reward=r) for steps, r in runs]
        return {"path": str(write_messages(folder, rows))}
    listed = []
    for number, (steps, reward) in enumerate(runs):
        if form == "atif":
            trajectory = agent_logs.atif(ASKED, steps, reward=reward)
            content = orjson.dumps(trajectory, option=orjson.OPT_INDENT_2)
        else:
            lines = getattr(agent_logs, form)(ASKED, steps)
            content = agent_logs.write_lines(lines)
            listed.append({"run": f"run{number}", "outcome": reward})
        (folder / "logs").mkdir(exist_ok=True)
        ending = "json" if form == "atif" else "jsonl"
        (folder / "logs" / f"run{number}.{ending}").write_bytes(content)
    if not listed:
        return {"path": str(folder / "logs")}
    outcomes = folder / "outcomes.csv"
    outcomes.write_text("run,outcome\n" + "".join(f"{r['run']},{r['outcome']}\n" for r in listed))
    return {"path": str(folder / "logs"), "outcomes": str(outcomes)}


@pytest.mark.parametrize("form", ["messages", "atif", "claude_code", "codex"])
def test_runs_of_each_form_become_the_turn_at_which_they_part(tmp_path: Path, form: str) -> None:
    runs = [([LOOK, EDIT, DONE], 1), ([LOOK, TEST, Say("It fails.")], 0), ([LOOK, EDIT, DONE], 0)]
    settings = write_form(tmp_path, form, runs)
    for named in ("auto", form):
        ((prompt,), none) = ingest(SOURCES.parse({"kind": "traces", "form": named, **settings}))
        assert not none
        *before, call, result = prompt["messages"]
        assert [m["role"] for m in before] == ["system", "user"][-len(before) :]
        assert before[-1]["content"] == ASKED
        assert (call["content"], call["tool_calls"][0]["arguments"]) == (
            "I look.",
            '{"command":"cat f.py"}',
        )
        assert (result["role"], result["content"]) == ("tool", "def f(): retrun 1")
        assert result["tool_call_id"] == call["tool_calls"][0]["id"] == "call00001"
        assert ratings(prompt) == {EDIT.command: 0.5, "pytest": 0}
        thoughts = {r["text"]: r["thoughts"] for r in prompt["responses"]}
        assert thoughts == {"I mend it.": "a typo", "I test.": None}
        assert (prompt["tools"] is not None) == (form in ("messages", "atif"))
        file = prompt["origin"].rpartition(":")[0]
        assert Path(file).is_file()
        assert prompt["annotations"][0]["annotator"] == "outcome"


def test_every_parting_of_a_tree_of_runs_is_a_prompt(tmp_path: Path) -> None:
    runs = [
        ([LOOK, EDIT, DONE], 1.0),
        ([LOOK, EDIT, TEST, DONE], 0.5),
        ([TEST, DONE], 0.0),
        ([TEST, Say("I give up.")], -1.0),
    ]
    prompts, none = ingest(SOURCES.parse({"kind": "traces", **write_form(tmp_path, "atif", runs)}))
    assert not none
    expected = [
        {"Mended.": 0.0, "I give up.": -1.0},
        {"Mended.": 1.0, "pytest": 0.5},
        {"cat f.py": 0.75, "pytest": -0.5},
    ]
    found = [ratings(prompt) for prompt in prompts]
    assert len(found) == 3
    assert all(each in found for each in expected)


def test_the_last_step_yields_next_to_nothing(tmp_path: Path) -> None:
    """Runs share no prompt before their last turn, but part at a turn that they share."""
    end = Say("Done.")
    runs = [
        [LOOK, EDIT, end],
        [LOOK, TEST, EDIT, end],
        [TEST, LOOK, end],
        [LOOK, EDIT, TEST, Say("Mended.")],
    ]
    rows = [
        agent_logs.message_row("t", ASKED, steps, reward=float(n)) for n, steps in enumerate(runs)
    ]
    prompts, _ = ingest(open_source(write_messages(tmp_path, rows)))
    pairs = [len(p["responses"]) * (len(p["responses"]) - 1) // 2 for p in prompts]
    assert pairs == [1, 1, 1]
    last = [orjson.dumps([step[:3] for step in steps[:-1]]) for steps in runs]
    assert len(set(last)) == len(last)


@pytest.mark.parametrize(
    ("same_turn", "found"),
    [
        ("calls", [{"Mended.", "Done."}]),
        ("text_and_calls", [{"cat f.py"}, {"Mended.", "Done."}]),
        ("all", [{"cat f.py"}]),
    ],
)
def test_what_counts_as_the_same_turn_is_a_setting(
    tmp_path: Path, same_turn: str, found: list[set[str]]
) -> None:
    other = LOOK._replace(thoughts="What stands there?")
    runs = [[LOOK, DONE], [other, Say("Done.")], [LOOK._replace(text="Let me see."), DONE]]
    rows = [agent_logs.message_row("t", ASKED, steps, reward=1) for steps in runs]
    prompts, _ = ingest(open_source(write_messages(tmp_path, rows), same_turn=same_turn))
    assert [
        set(ratings(prompt)) for prompt in sorted(prompts, key=lambda p: len(p["messages"]))
    ] == found


def test_one_bad_run_takes_no_other_with_it(tmp_path: Path) -> None:
    """Every fault has its reason and its place."""
    row, say = agent_logs.message_row, agent_logs.Say
    orphan = row("t", ASKED, [LOOK, DONE], reward=1)
    orphan["messages"][3]["tool_call_id"] = "call_other"
    twice = row("t", ASKED, [LOOK, DONE], reward=1)
    twice["messages"][2]["tool_calls"] *= 2
    no_json = row("t", ASKED, [LOOK, DONE], reward=1)
    no_json["messages"][2]["tool_calls"][0]["function"]["arguments"] = '{"command": '
    image = row("t", ASKED, [DONE], reward=1)
    image["messages"][1]["content"] = [{"type": "image_url", "image_url": {"url": "x"}}]
    rows = [
        row("t", ASKED, [LOOK, DONE], reward=1),
        row("t", ASKED, [LOOK, say("No.")], reward=0),
        row("t", "Another task.", [LOOK, DONE], reward=1),
        row("t", ASKED, [], reward=1),
        orphan,
        twice,
        no_json,
        image,
        row("t", ASKED, [DONE], reward="good"),
        row("t", ASKED, [DONE], reward=float("inf")),
        row("alone", ASKED, [DONE], reward=1),
        row("equal", ASKED, [DONE], reward=1),
        row("equal", ASKED, [DONE], reward=0),
        {"task_id": "t"},
        orjson.dumps(row("t", ASKED, [DONE], reward=1))[:-20],
    ]
    rows[9] = orjson.dumps(rows[9]).replace(b'"reward":null', b'"reward":[1]')
    path = write_messages(tmp_path, rows)
    ((prompt,), dropped) = ingest(open_source(path))
    assert ratings(prompt) == {"Mended.": 1, "No.": 0}
    reasons = {
        int(d["origin"].removeprefix(f"{path}:")): (d["reason"], d["fault"]) for d in dropped
    }
    assert reasons == {
        3: ("different_tasks", True),
        4: ("no_assistant_turn", True),
        5: ("result_without_call", True),
        6: ("repeated_call_id", True),
        7: ("tool_call_unreadable", True),
        8: ("images_unsupported", True),
        9: ("wrong_outcome", True),
        10: ("wrong_outcome", True),
        11: ("lone_run", False),
        12: ("no_parting", False),
        14: ("no_log", True),
        15: ("invalid_json", True),
    }
    record = next(d["record"] for d in dropped if d["reason"] == "different_tasks")
    assert "Another task." in record


def test_an_outcome_that_is_asked_for_and_missing_is_a_fault(tmp_path: Path) -> None:
    rows = [
        agent_logs.message_row("t", ASKED, [DONE], extra={"passed": True}),
        agent_logs.message_row("t", ASKED, [Say("No.")], extra={"passed": False}),
        agent_logs.message_row("t", ASKED, [Say("What?")]),
    ]
    path = write_messages(tmp_path, rows)
    ((prompt,), (dropped,)) = ingest(open_source(path, outcome_field="extra.passed"))
    assert ratings(prompt) == {"Mended.": 1, "No.": 0}
    assert (dropped["reason"], dropped["origin"]) == ("no_outcome", f"{path}:3")
    assert "Set outcome_field" in dropped["detail"]
    ((prompt,), none) = ingest(open_source(path))
    assert not none
    assert (len(prompt["responses"]), prompt["annotations"]) == (3, None)


def test_responses_without_outcomes_are_not_rated(tmp_path: Path) -> None:
    """Where some runs have an outcome and others none, those that have one are rated."""
    rows = [
        agent_logs.message_row("t", ASKED, [DONE], reward=1),
        agent_logs.message_row("t", ASKED, [Say("No.")], reward=0),
        agent_logs.message_row("t", ASKED, [Say("What?")]),
    ]
    ((prompt,), _) = ingest(open_source(write_messages(tmp_path, rows)))
    assert len(prompt["responses"]) == 3
    assert ratings(prompt) == {"Mended.": 1, "No.": 0}


def test_a_broken_line_of_a_session_drops_the_session_alone(tmp_path: Path) -> None:
    logs = [agent_logs.claude_code(ASKED, [LOOK, Say(text)]) for text in ("A", "B", "C")]
    for number, lines in enumerate(logs):
        content = agent_logs.write_lines(lines)
        (tmp_path / f"{number}.jsonl").write_bytes(content[:-30] if number == 2 else content)
    ((prompt,), (dropped,)) = ingest(open_source(tmp_path))
    assert {r["text"] for r in prompt["responses"]} == {"A", "B"}
    assert dropped["reason"] == "broken_line"
    assert dropped["origin"] == f"{tmp_path}/2.jsonl:{len(logs[2])}"


def test_other_files_of_a_folder_are_no_fault(tmp_path: Path) -> None:
    for name, text in (("a", "A"), ("b", "B")):
        trajectory = agent_logs.atif(ASKED, [LOOK, Say(text)], reward=1)
        (tmp_path / f"{name}.json").write_bytes(orjson.dumps(trajectory))
    (tmp_path / "config.json").write_text('{"n": 1}')
    (tmp_path / "notes.txt").write_text("no log")
    ((prompt,), (dropped,)) = ingest(open_source(tmp_path))
    assert len(prompt["responses"]) == 2
    assert (dropped["reason"], dropped["fault"]) == ("no_log", False)
    assert dropped["origin"] == f"{tmp_path}/config.json:1"


def test_what_can_not_be_read_is_said_before_work(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no \.jsonl, \.json or \.parquet file"):
        open_source(tmp_path / "*.jsonl").check()
    path = tmp_path / "other.jsonl"
    path.write_text('{"prompt": "Hi"}\n')
    with pytest.raises(SourceError, match="holds no agent's log of the form atif, messages"):
        open_source(path).check()
    path = write_messages(tmp_path, [agent_logs.message_row("t", ASKED, [DONE])])
    with pytest.raises(SourceError, match="holds no agent's log of the form codex"):
        open_source(path, form="codex").check()
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("run,outcome\nr,well\n")
    with pytest.raises(SourceError, match="row 1, outcome is 'well', expected a finite number"):
        open_source(path, outcomes=str(outcomes)).check()
    outcomes.write_text("id,outcome\nr,1\n")
    with pytest.raises(SourceError, match="row 1: expected `run` and one of outcome"):
        open_source(path, outcomes=str(outcomes)).check()


def test_the_file_of_outcomes_may_name_the_task(tmp_path: Path) -> None:
    for name, asked in (("a", ASKED), ("b", f"{ASKED} Today is Monday.")):
        lines = agent_logs.codex(asked, [Say(name)])
        (tmp_path / f"{name}.jsonl").write_bytes(agent_logs.write_lines(lines))
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("run,task,outcome\na,t,1\nb.jsonl,t,0\n")
    _, dropped = ingest(open_source(tmp_path / "[ab].jsonl", outcomes=str(outcomes)))
    assert {d["reason"] for d in dropped} == {"different_tasks", "lone_run"}


def test_message_logs_may_be_parquet(tmp_path: Path) -> None:
    rows = [
        agent_logs.message_row("t", ASKED, [LOOK, EDIT, DONE], reward=1),
        agent_logs.message_row("t", ASKED, [LOOK, TEST, DONE], reward=0),
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "runs.parquet")
    ((prompt,), none) = ingest(open_source(tmp_path))
    assert not none
    assert ratings(prompt) == {EDIT.command: 1, "pytest": 0}
    ((other,), _) = ingest(open_source(write_messages(tmp_path, rows)))
    assert prompt["prompt_id"] == other["prompt_id"]


def test_trials_of_harbor_say_their_task_and_reward(tmp_path: Path) -> None:
    for name, text, reward in (("x__1", "A", 1.0), ("x__2", "B", 0.0), ("y__1", "C", 0.5)):
        agent = tmp_path / "jobs" / name / "agent"
        agent.mkdir(parents=True)
        trajectory = agent_logs.atif(ASKED, [LOOK, Say(text)])
        (agent / "trajectory.json").write_bytes(orjson.dumps(trajectory))
        result = {"task_name": name[0], "verifier_result": {"rewards": {"reward": reward}}}
        (agent.parent / "result.json").write_bytes(orjson.dumps(result))
    path = tmp_path / "jobs" / "*" / "agent" / "trajectory.json"
    ((prompt,), (dropped,)) = ingest(open_source(path))
    assert ratings(prompt) == {"A": 1, "B": 0}
    assert dropped["reason"] == "lone_run"


def test_the_rows_are_the_same_each_time_and_are_limited(tmp_path: Path) -> None:
    runs = [[LOOK, EDIT, DONE], [LOOK, TEST, DONE], [TEST, DONE]]
    rows = [agent_logs.message_row("t", ASKED, steps, reward=1) for steps in runs]
    path = write_messages(tmp_path, rows)
    assert ingest(open_source(path)) == ingest(open_source(path))
    assert len(list(open_source(path).rows())) == 2
    assert len(list(open_source(path, limit=1).rows())) == 1
