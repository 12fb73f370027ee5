"""Frames that steps hand on: in files where the runner would keep them in the command's memory."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.errors import StorageError
from prefdata.pipelines.beam import steps
from prefdata.pipelines.beam.execute import execute
from prefdata.pipelines.beam.filter_step import State
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.beam.spill import Place, open_spill, read_spilled, spill
from prefdata.pipelines.run import run_flow
from prefdata.pipelines.stages.base import Context


def make_frame(number: int, rows: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"number": [number] * rows, "text": [None, *map(str, range(rows - 1))]})


def make_context(folder: Path, spill: str) -> Context:
    return Context(flows.params(folder, 1), "filter", "a run", spill=spill)


def test_frames_come_back_as_they_were_from_any_thread(tmp_path: Path) -> None:
    with open_spill(str(tmp_path)) as folder, ThreadPoolExecutor(4) as threads:
        context = make_context(tmp_path, folder)
        frames = [make_frame(number, rows=1 + number) for number in range(40)]
        spilled = list(threads.map(lambda frame: spill(context, frame), frames))
        assert not any(isinstance(each, bytes) for each in spilled)
        for frame, each in zip(frames, spilled, strict=True):
            assert read_spilled(pickle.loads(pickle.dumps(each))).equals(frame)


def test_a_runner_that_shuffles_over_a_network_gets_the_frames_themselves(tmp_path: Path) -> None:
    spilled = spill(make_context(tmp_path, ""), make_frame(1))
    assert isinstance(spilled, bytes)
    assert read_spilled(spilled).equals(make_frame(1))
    assert not list(tmp_path.rglob("*.arrow"))


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    with open_spill(str(tmp_path)) as folder:
        left = Path(folder, "1.arrow")
        left.write_bytes(b"left")
        with open_spill(str(tmp_path)):
            assert not left.exists()
    assert not list(tmp_path.iterdir())


def test_beside_remote_data_the_folder_is_on_this_machine() -> None:
    with open_spill("memory://bucket/data") as folder:
        assert Path(folder).is_dir()
    assert not Path(folder).exists()


def test_a_folder_that_is_gone_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    context = make_context(tmp_path, str(tmp_path / "gone"))
    with pytest.raises(StorageError, match="can't be written"):
        spill(context, make_frame(1))
    with pytest.raises(StorageError, match="can't be read"):
        read_spilled(Place(str(tmp_path / "gone" / "1.arrow"), 0, 1))


@pytest.mark.parametrize("runner", ["", "--runner=PortableRunner"])
def test_the_local_runner_alone_spills(tmp_path: Path, runner: str) -> None:
    params = flows.params(tmp_path, 1)
    folders = []

    def build(pipeline: Any, context: Context) -> None:
        folders.append(context.spill)
        raise LookupError

    with open_runtime(params) as run, pytest.raises(LookupError):
        execute(build, Context(params, "filter", run, beam_arguments=(runner,) if runner else ()))
    assert bool(folders[0]) == (not runner)


def test_the_local_runner_holds_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: dict[str, list[Any]] = {}
    process = steps.Step.process

    # Without annotations, as the one it stands for.
    def note(step, element, **side_inputs):  # type: ignore[no-untyped-def]
        for result in process(step, element, **side_inputs):
            if step.context.stage == "ingest" and isinstance(result, tuple):
                _, (kind, content) = result
                handed.setdefault(kind, []).append(content)
            elif isinstance(result, State):
                handed.setdefault("filter", []).extend([result.pairs, result.dropped])
            yield result

    monkeypatch.setattr(steps.Step, "process", note)
    run_flow(flows.params(tmp_path, 8), ["--direct_running_mode=in_memory"])
    assert {"prompts", "filter"} <= handed.keys()
    for kind, contents in handed.items():
        # The names of unread fields are few.
        assert kind == "unread" or all(isinstance(each, Place) for each in contents)
    assert not Path(tmp_path, "data", ".spill").exists()
