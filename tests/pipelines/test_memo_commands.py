"""prefdata memo: what it holds, merging it, dropping a model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.cli.app import main
from prefdata.inference import compaction
from prefdata.inference.versions import read_versions


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a flow that ran."""
    folder = tmp_path_factory.mktemp("memo")
    flows.write_prompts(folder, 40)
    assert main(["run", "--params", str(flows.write_params(folder)), "--quiet"]) == 0
    return folder


@pytest.fixture
def params(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of that flow."""
    monkeypatch.setattr(compaction, "SETTLE_SECONDS", 0.0)
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return str(flows.write_params(tmp_path))


def figures(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    return found


def test_stats_count_what_lies_there(
    tmp_path: Path, params: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = figures(capsys, "memo", "stats", "--params", params)
    files = list((tmp_path / "data/memo").rglob("*.parquet"))
    assert found["segments"] == len(files)
    assert found["bytes"] == sum(path.stat().st_size for path in files)
    assert found["entries"] == sum(pl.read_parquet(path).height for path in files)
    assert (found["duplicates"], found["damaged"]) == (0, [])
    held = {(m["operation"], *m["names"]): m["entries"] for m in found["models"]}
    assert held[("generate", "policy")] == 160
    assert held[("loglikelihood", "policy")] == held[("loglikelihood", "reference")] > 150
    used = {(u["stage"], u["call"]): u["hits"] for u in found["last_runs"]}
    assert used[("generate", "generate policy")] == 0

    before = found
    whole = pl.read_parquet(files[0]).height
    # One bit of it, where the keys may well be readable.
    content = bytearray(files[0].read_bytes())
    content[len(content) // 2] ^= 1
    files[0].write_bytes(bytes(content))
    found = figures(capsys, "memo", "stats", "--params", params)
    assert found["damaged"] == [str(files[0])]
    assert found["segments"] == before["segments"] - 1
    assert found["entries"] == before["entries"] - whole
    assert found["bytes"] == before["bytes"] - len(content)
    capsys.readouterr()
    assert main(["memo", "stats", "--params", params]) == 0
    table = capsys.readouterr().out
    head = ["operation", "model", "fingerprint", "segments", "entries", "duplicates", "MiB"]
    assert table.splitlines()[0].split() == head
    assert "1 damaged segments, which every run leaves out and asks for again" in table
    assert f"Remove them:\n  {files[0]}" in table
    assert "in the last runs:" in table


def test_a_merged_memo_answers_all_that_it_did(
    tmp_path: Path, params: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = figures(capsys, "memo", "stats", "--params", params)
    done = figures(capsys, "memo", "compact", "--params", params)
    assert done["segments_before"] == before["segments"] > done["segments_after"]
    after = figures(capsys, "memo", "stats", "--params", params)
    assert (after["segments"], after["bytes"]) == (done["segments_after"], done["bytes_after"])
    assert after["entries"] == before["entries"]
    stages = figures(capsys, "run", "--params", params, "--quiet")["stages"]
    used = [model for stage in stages.values() for model in stage["models"].values()]
    assert used
    assert all(model["cached"] == model["requests"] > 0 for model in used)


@pytest.mark.parametrize("by", ["name", "fingerprint"])
def test_a_dropped_model_is_asked_again_and_no_other(
    params: str, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    held = figures(capsys, "memo", "stats", "--params", params)["models"]
    (mark,) = {m["model"] for m in held if m["names"] == ["reference"]}
    which = "reference" if by == "name" else mark
    assert read_versions(str(Path(params).parent / "data" / "memo"), mark)
    dropped = figures(capsys, "memo", "drop", "--model", which, "--params", params)
    assert dropped["models"] == [mark]
    assert dropped["segments"] > 0
    assert read_versions(str(Path(params).parent / "data" / "memo"), mark) == []
    left = figures(capsys, "memo", "stats", "--params", params)["models"]
    assert [m["names"] for m in left if m["segments"]] == [
        m["names"] for m in held if m["model"] != mark
    ]
    models = figures(capsys, "judge", "--params", params, "--quiet")["stages"]["judge"]["models"]
    assert models["loglikelihood reference"]["cached"] == 0
    assert models["loglikelihood policy"]["cached"] == models["loglikelihood policy"]["requests"]


def test_a_model_that_is_not_there_is_no_reason_to_drop_anything(
    params: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = figures(capsys, "memo", "stats", "--params", params)
    assert main(["memo", "drop", "--model", "nobody", "--params", params]) == 2
    said = capsys.readouterr().err
    assert "--model nobody: the memo" in said
    assert "holds nothing of it; it holds: " in said
    assert "policy" in said
    assert figures(capsys, "memo", "stats", "--params", params) == before


def test_without_a_memo_there_is_nothing_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(flows.write_params(tmp_path, memo=None))
    for action in ("stats", "compact"):
        assert main(["memo", action, "--params", path, "--set", "memo=null"]) == 2
        assert "Set `memo` to the memo's folder" in capsys.readouterr().err
    empty = f"memo={tmp_path}/none"
    found = figures(capsys, "memo", "stats", "--params", path, "--set", empty)
    assert (found["segments"], found["entries"], found["models"]) == (0, 0, [])
    assert figures(capsys, "memo", "compact", "--params", path, "--set", empty)["bytes_after"] == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["memo"], "compact"),
        (["memo", "drop"], "prefdata memo drop: Missing option '--model'"),
        (["memo", "stats", "--streaming"], "prefdata memo stats: it runs no pipeline"),
    ],
)
def test_a_memo_command_that_lacks_something_lists_what_there_is(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert expected in printed.err + printed.out


@pytest.mark.parametrize("action", ["stats", "compact", "drop"])
def test_every_memo_command_has_an_example(capsys: pytest.CaptureFixture[str], action: str) -> None:
    assert main(["memo", action, "--help"]) == 0
    assert f"prefdata memo {action}" in capsys.readouterr().out.partition("Examples:")[2]
