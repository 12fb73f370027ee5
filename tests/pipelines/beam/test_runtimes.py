"""Two runs in one process, such as two cells of a notebook: they don't meet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flows
import numpy as np
import polars as pl
import pytest

from prefdata.config import Params
from prefdata.engines.scripted import ScriptedEngine
from prefdata.pipelines.beam import runtimes
from prefdata.pipelines.beam.runtimes import ProcessRuntime, find_runtime, list_runtimes
from prefdata.pipelines.run import run_flow

SECONDS = 60
"""A run that waits longer for the other one is stuck."""


class Running(threading.Thread):
    """A whole flow in a thread of its own, and what it ended with."""

    def __init__(self, params: Params) -> None:
        super().__init__(daemon=True)
        self.params = params
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            run_flow(self.params)
        except BaseException as error:
            self.error = error


def make_params(folder: Path, model: str, n: int) -> Params:
    models = {name: {"engine": "scripted", "model": model} for name in ("policy", "reference")}
    return flows.params(folder, 4, models=models, generate={"n": n}, buckets=2)


def test_stopping_one_of_two_runs_leaves_the_other_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is stopped in the middle of a model call, while the other is in the middle of its own."""
    stopped, other = make_params(tmp_path / "a", "one", 2), make_params(tmp_path / "b", "two", 3)
    asking = {name: threading.Event() for name in ("a", "b")}
    engines: dict[str, Any] = {}
    plain = ScriptedEngine._batches
    went_on = threading.Event()

    def wait(self: ScriptedEngine, rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        name = "a" if self.fingerprint == fingerprints["a"] else "b"
        engines[name] = self
        asking[name].set()
        if name == "a":
            assert self.stopping.wait(SECONDS)
            return
        assert went_on.wait(SECONDS)
        yield from plain(self, rows)

    fingerprints = {}
    for name, params in (("a", stopped), ("b", other)):
        with runtimes.open_runtime(params) as run:
            engine = find_runtime(run, params).engines["policy"]
            fingerprints[name] = engine.fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(ScriptedEngine, "_batches", wait)
        running = {"a": Running(stopped), "b": Running(other)}
        for name, thread in running.items():
            thread.start()
            assert asking[name].wait(SECONDS)
        one, two = (find_holder(engines[name]) for name in ("a", "b"))
        assert one is not two
        assert one.model_lock is not two.model_lock
        one.stopping.set()
        running["a"].join(SECONDS)
        assert isinstance(running["a"].error, KeyboardInterrupt)
        assert not two.stopping.is_set()
        assert not engines["b"].stopping.is_set()
        went_on.set()
        running["b"].join(SECONDS)
        assert running["b"].error is None
    assert one not in list_runtimes()
    assert two not in list_runtimes()
    # Each with its own model and settings; the stopped one goes on as if nothing had been.
    assert flows.read(tmp_path / "b", "responses").height == 4 * 3
    assert not (tmp_path / "a" / "data" / "dataset").exists()
    run_flow(stopped)
    assert flows.read(tmp_path / "a", "responses").height == 4 * 2
    models = {name: set(flows.read(tmp_path / name, "responses")["model"]) for name in "ab"}
    assert models == {name: {fingerprints[name]} for name in "ab"}


def find_holder(engine: ScriptedEngine) -> ProcessRuntime:
    """The runtime whose stopping the engine looks at, and whose model it is."""
    (runtime,) = [r for r in list_runtimes() if r.stopping is engine.stopping]
    assert runtime.engines[engine.name] is engine
    return runtime
