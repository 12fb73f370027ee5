"""Trajectories of ATIF: observations without calls, steps of no model, continuations."""

from __future__ import annotations

from typing import Any

import agent_logs
import pytest
from agent_logs import Call, Say

from prefdata.errors import DropRecord
from prefdata.sources.base import NoFault
from prefdata.sources.runs.atif import is_atif, read_atif
from prefdata.sources.runs.run import LogRow, Run

LOOK = Call("cat f.py", "1", "I look.", "Where is it?")


def read(trajectory: dict[str, Any]) -> Run:
    return read_atif([LogRow(1, trajectory)])


def texts(run: Run) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for _, turn in run.turns]


def test_a_step_is_a_turn_and_its_results() -> None:
    trajectory = agent_logs.atif("Go.", [LOOK, Say("Done.")])
    assert is_atif(trajectory)
    run = read(trajectory)
    assert texts(run) == [
        ("system", "You mend code."),
        ("user", "Go."),
        ("assistant", "I look."),
        ("tool", "1"),
        ("assistant", "Done."),
    ]
    assert run.turns[2].turn.thoughts == "Where is it?"
    assert (run.model, run.ids) == ("m-1", [trajectory["session_id"]])
    assert '"name":"bash"' in (run.tools or "")


def test_an_agent_that_acts_by_text_is_told_what_came_of_it() -> None:
    trajectory = agent_logs.atif("Go.", [Say('{"keys": "ls"}'), Say("Done.")])
    trajectory["steps"][2]["observation"] = {"results": [{"content": "f.py"}]}
    assert texts(read(trajectory))[2:] == [
        ("assistant", '{"keys": "ls"}'),
        ("user", "f.py"),
        ("assistant", "Done."),
    ]


def test_parts_of_text_are_read_and_images_refused() -> None:
    trajectory = agent_logs.atif("Go.", [Say("Done.")])
    trajectory["steps"][1]["message"] = [{"type": "text", "text": "Go home."}]
    assert texts(read(trajectory))[1] == ("user", "Go home.")
    source = {"media_type": "image/png", "path": "images/1.png"}
    trajectory["steps"][1]["message"].append({"type": "image", "source": source})
    with pytest.raises(DropRecord) as refused:
        read(trajectory)
    assert refused.value.reason == "images_unsupported"


def test_a_run_ends_where_no_model_wrote_or_the_context_changed() -> None:
    trajectory = agent_logs.atif("Go.", [LOOK, LOOK, Say("Done.")])
    trajectory["steps"][3]["llm_call_count"] = 0
    assert len(read(trajectory).turns) == 4
    trajectory = agent_logs.atif("Go.", [LOOK, Say("Done.")])
    trajectory["steps"].insert(3, {"source": "system", "message": "Summarized."})
    assert len(read(trajectory).turns) == 4


def test_a_continuation_of_another_trajectory_is_left_out() -> None:
    trajectory = agent_logs.atif("Go.", [LOOK, Say("Done.")])
    trajectory["steps"][1]["is_copied_context"] = True
    with pytest.raises(NoFault) as left_out:
        read(trajectory)
    assert left_out.value.reason == "continued_run"
