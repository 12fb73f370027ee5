"""`prefdata init`: what it finds in the rows, the file that it writes, what it asks."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from prefdata.cli.app import main
from prefdata.cli.init import command as init
from prefdata.config import load_params
from prefdata.errors import SourceError
from prefdata.sources.detect import detect_source

TURNS = [{"role": "user", "content": "2 + 2?"}]


def put(folder: Path, *rows: Any) -> str:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("row", "settings", "annotations"),
    [
        ({"prompt": "2 + 2?"}, {}, []),
        ("2 + 2?", {}, []),
        ({"messages": TURNS}, {}, []),
        ({"question": "2 + 2?", "text": "4"}, {"prompt_field": "question"}, []),
        ({"id": 1, "ask": "2 + 2?"}, {"prompt_field": "ask"}, []),
        ({"conversation": TURNS}, {"messages_field": "conversation"}, []),
        (
            {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
            {"kind": "preferences"},
            ["ranking"],
        ),
    ],
)
def test_how_rows_are_read_is_told_by_the_first(
    row: Any, settings: dict[str, str], annotations: list[str], tmp_path: Path
) -> None:
    path = put(tmp_path, row, 3)
    found = detect_source(path)
    assert found.settings == {**settings, "path": path}
    assert found.annotations == annotations
    assert (found.prompts, sum(found.dropped.values())) == (1, 1)


@pytest.mark.parametrize(
    ("rows", "field", "problem"),
    [
        ([{"a": "x", "b": "y"}], None, "no field that looks like the prompt; it has: a, b"),
        ([{"a": "x"}], "c", "no field 'c'; it has: a"),
        ([{"prompt": ""}], "prompt", "none of its first rows can be read as prompts"),
        ([], None, "none of its first rows can be read"),
    ],
)
def test_rows_that_tell_nothing_are_refused(
    rows: list[Any], field: str | None, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=problem):
        detect_source(put(tmp_path, *rows), field)


def test_flags_alone_write_a_file_that_can_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts, out = put(tmp_path, {"question": "2 + 2?", "ground_truth": "4"}), tmp_path / "p.yaml"
    flags = ["--prompts", prompts, "--engine", "openai", "--url", "http://h/v1", "--out", str(out)]
    assert main(["init", *flags]) == 2
    assert "Name it with --model" in capsys.readouterr().err
    assert not out.exists()
    assert main(["init", *flags, "--model", "tiny", "--judges", "pairwise, math_answer"]) == 0
    said = capsys.readouterr().out
    read = "read 1 of 1 records looked at, by the source prompts, prompt_field: question"
    assert f"{prompts}: {read}\n" in said
    assert "They have ground truths" in said
    assert [judge.kind for judge in load_params(out).judge.judges] == ["pairwise", "math_answer"]
    # A file that is there is never written over.
    before = out.read_text()
    assert main(["init", *flags, "--model", "another"]) == 2
    assert "it exists" in capsys.readouterr().err
    assert out.read_text() == before


def test_the_commands_that_it_names_are_those_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "my params.yaml")
    assert main(["init", "--prompts", put(tmp_path, "2 + 2?"), "--out", out, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    commands = [line.split(" --params ")[0] for line in said["next"]]
    named = [
        line.removeprefix("# ").split(" --params ")[0]
        for line in Path(out).read_text().splitlines()
        if " --params " in line
    ]
    assert commands == named
    for command in commands:
        assert main([*command.split()[1:], "--help"]) == 0
    assert all(f"--params '{out}'" in line for line in said["next"])


def test_on_a_terminal_it_asks_for_what_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, {"prompt": "2 + 2?"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "_has_terminal", lambda: True)
    # An engine that does not exist is asked for again; an empty line takes the default.
    answers = ["rows.jsonl", "cloud", "openai", "", "", "tiny", "pointwise"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*answers, ""])))
    assert main(["init"]) == 0
    params = load_params("params.yaml")
    assert params.judge.judges[0].kind == "pointwise"
    assert params.models["policy"].model == "tiny"
    assert "Model" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["init", "--out", "more.yaml"]) == 130
    assert main(["init", "--out", "more.yaml", "--prompts", "rows.jsonl", "--yes"]) == 0
