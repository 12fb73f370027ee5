"""Worker processes of a run: what they ask of the driver, and what ends the work."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.engines.base import Sampling
from prefdata.engines.registry import ENGINES
from prefdata.engines.scripted import ScriptedEngine
from prefdata.errors import AbortError, ModelError
from prefdata.inference import Inference
from prefdata.inference.progress import Progress
from prefdata.pipelines.beam.errors import read_carried
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.stages.base import Context
from prefdata.pipelines.workers.pool import WorkFailed

REQUESTS = 1_000


def ask(context: Context, count: int) -> Iterator[Any]:
    """In a worker: who asks, and what the model replies to `count` requests."""
    runtime = context.runtime
    yield os.getpid(), type(runtime.engines["policy"]).__name__
    numbers = range(count)
    rows = pl.DataFrame({"prompt_id": [f"{n:064x}" for n in numbers], "sample_index": numbers})
    message = pl.struct(role=pl.lit("user"), content="prompt_id")
    rows = rows.with_columns(messages=pl.concat_list(message))
    inference = Inference(runtime.engines, None, runtime, "generate", 1)
    yield inference.ask("policy", "generate", Sampling(), rows)
    yield inference.usage


def fail(_: Context, kind: str) -> Iterator[Any]:
    if kind == "end":
        os._exit(1)
    yield 1 / 0


class Reported(Progress):
    def __init__(self) -> None:
        self.finished = 0

    def advance(self, stage: str, call: str, requests: int, usage: Any) -> None:
        self.finished += requests


class Model(ScriptedEngine):
    """The model in the driver: it yields one result at a time, and does as `outcome` says."""

    outcome = ""
    asked = 0

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        if self.outcome == "raise":
            raise ModelError("no such model", "Set models.policy.model.")
        for finished, row in enumerate(rows.iter_slices(1), 1):
            self.asked += 1
            yield from super().generate(row, settings)
            if self.outcome == "stop" and finished == 3:
                self.stopping.set()
                return


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Context, Model]]:
    # An engine that is nowhere but in the driver; its model is never reached.
    options = {"base_urls": ["http://127.0.0.1:9/v1"]}
    served = {"engine": "openai", "model": "policy", "options": options}
    scripted = flows.SCRIPTED["models"]["policy"]
    params = flows.params(tmp_path_factory.mktemp("pool"), 1, models={"policy": served})
    model = Model("policy", ENGINES.parse(scripted, "models.policy"))
    with open_runtime(params, Reported()) as run:
        context = Context(params, "generate", run, 1)
        model.stopping = context.runtime.stopping
        context.runtime.own_engines._made["policy"] = model
        with context.runtime.use_workers(2):
            yield context, model


@pytest.fixture(autouse=True)
def restore(pooled: tuple[Context, Model]) -> Iterator[None]:
    yield
    _, model = pooled
    model.outcome = ""
    model.stopping.clear()


def apply(context: Context, function: Any, element: Any) -> list[Any]:
    assert context.runtime.pool
    return context.runtime.pool.apply(pickle.dumps((context, function)), element, {})


def test_a_worker_asks_the_model_that_is_in_the_driver(pooled: tuple[Context, Model]) -> None:
    context, model = pooled
    # More reports of progress than a link holds: they are read while the model works.
    (process, engine), replies, usage = apply(context, ask, REQUESTS)
    assert process != os.getpid()
    assert engine == "RemoteEngine"
    assert model.asked == REQUESTS
    assert replies["text"].is_not_null().sum() == REQUESTS
    assert usage["generate policy"].requests == REQUESTS
    assert usage["generate policy"].failed == 0
    progress = context.runtime.progress
    assert isinstance(progress, Reported)
    assert progress.finished == REQUESTS
    assert replies.equals(list(ask(context, REQUESTS))[1])


def test_an_error_of_the_model_is_raised_where_it_was_asked(pooled: tuple[Context, Model]) -> None:
    context, model = pooled
    model.outcome = "raise"
    with pytest.raises(WorkFailed) as raised:
        apply(context, ask, 1)
    error = read_carried(raised.value)
    assert isinstance(error, ModelError)
    assert error.remedy == "Set models.policy.model."
    model.outcome = ""
    assert apply(context, ask, 1)[1].height == 1


def test_requests_without_a_reply_are_no_failures_where_the_run_stops(
    pooled: tuple[Context, Model],
) -> None:
    context, model = pooled
    model.outcome = "stop"
    with pytest.raises(WorkFailed, match="PREFDATA_INTERRUPTED"):
        apply(context, ask, 10)


def test_a_defect_is_shown_with_its_traceback(pooled: tuple[Context, Model]) -> None:
    context, _ = pooled
    with pytest.raises(WorkFailed, match=r"(?s)in fail.*ZeroDivisionError"):
        apply(context, fail, "divide")


def test_a_worker_that_died_ends_the_stage_and_those_after_it(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 1)
    with open_runtime(params) as run:
        context = Context(params, "generate", run, 1)
        with context.runtime.use_workers(1):
            for _ in range(2):
                with pytest.raises(AbortError, match="died in the middle"):
                    apply(context, fail, "end")
