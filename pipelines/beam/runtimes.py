"""The runtimes of this process, by run: models, parts and calls in flight.

A stage's functions run wherever a runner puts them: in this process, in threads, in worker
processes. There they find the runtime of their run by its id, which travels with the context.
This index is all that a process shares between runs.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from prefdata.config.params import Params
from prefdata.engines.base import Engine
from prefdata.engines.registry import Engines
from prefdata.inference.progress import Progress
from prefdata.inference.runtime import Runtime
from prefdata.parts import Part, PartConfig, Registry

if TYPE_CHECKING:
    from prefdata.pipelines.workers.pool import WorkerPool

P = TypeVar("P", bound=Part)

_RUNTIMES: dict[str, ProcessRuntime] = {}
_LOCK = threading.Lock()
_ENDING = threading.Event()
"""Set in a worker process that was told to end: runtimes that it makes later stop at once."""


class ProcessRuntime(Runtime):
    """The models and parts of one run in one process, each made once."""

    def __init__(self, params: Params, progress: Progress | None = None) -> None:
        super().__init__(progress)
        self.own_engines = Engines(params.models, self.stopping)
        """The models, as this process makes them."""
        self.engines: Mapping[str, Engine] = self.own_engines
        self.pool: WorkerPool | None = None
        """The worker processes of the running stage; None: it runs in this process."""
        self._opened: WorkerPool | None = None
        self._parts: dict[str, Part] = {}
        self._lock = threading.Lock()

    def part(self, registry: Registry[P], config: PartConfig, where: str) -> P:
        """The part that the configuration describes, set up."""
        key = f"{registry.group} {where} {config.model_dump_json()}"
        with self._lock:
            if key not in self._parts:
                part = registry.build(config, where)
                part.setup()
                self._parts[key] = part
            return self._parts[key]  # type: ignore[return-value]

    def parts(self, registry: Registry[P], configs: Sequence[PartConfig], where: str) -> list[P]:
        """The parts of a list in params.yaml that stands at `where`, set up."""
        return [self.part(registry, c, f"{where}.{n}") for n, c in enumerate(configs)]

    @contextmanager
    def use_workers(self, count: int) -> Iterator[None]:
        """Have steps applied by this many worker processes, or by this one if 0. The processes stay
        for the next stage."""
        if count and self._opened is None:
            from prefdata.pipelines.workers.pool import WorkerPool

            self._opened = WorkerPool(self, count)
        self.pool = self._opened if count else None
        try:
            yield
        finally:
            self.pool = None

    def unload(self, models: Sequence[str]) -> None:
        """Release these models in this process. One that is asked again is loaded again."""
        # One that works holds the lock, and so is not released in the middle of a call.
        with self.model_lock:
            for model in models:
                self.own_engines.release(model)

    def close(self) -> None:
        """Release the models, and end the worker processes."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self.own_engines.close()


_make: Callable[[Params], ProcessRuntime] = ProcessRuntime
"""How a worker process makes a runtime that it lacks."""


@contextmanager
def open_runtime(params: Params, progress: Progress | None = None) -> Iterator[str]:
    """The id of a new run, whose runtime in this process is closed at the end."""
    run = uuid.uuid4().hex
    with _LOCK:
        runtime = _RUNTIMES[run] = ProcessRuntime(params, progress)
    try:
        yield run
    finally:
        try:
            runtime.close()
        finally:
            # Other threads may still be working; they end with the process.
            runtime.flush()
            with _LOCK:
                del _RUNTIMES[run]


def make_by(make: Callable[[Params], ProcessRuntime]) -> None:
    """Make the runtimes of this process, which is a worker, by this function."""
    global _make
    _make = make


def find_runtime(run: str, params: Params) -> ProcessRuntime:
    """The run's runtime in this process; a worker process makes it when it first asks."""
    with _LOCK:
        if run not in _RUNTIMES:
            runtime = _RUNTIMES[run] = _make(params)
            if _ENDING.is_set():
                runtime.stopping.set()
        return _RUNTIMES[run]


def list_runtimes() -> list[ProcessRuntime]:
    """All runtimes of this process."""
    with _LOCK:
        return list(_RUNTIMES.values())


def stop_runs() -> None:
    """Ask every run of this process to stop."""
    for runtime in list_runtimes():
        runtime.stopping.set()


def end_process() -> None:
    """Ask every run of this process to stop, now and in future."""
    _ENDING.set()
    stop_runs()


def is_ending() -> bool:
    """Whether this process was told to end."""
    return _ENDING.is_set()


def flush_runs() -> None:
    """Commit what engines have yielded so far, in every run of this process."""
    for runtime in list_runtimes():
        runtime.flush()


def is_asking() -> bool:
    """Whether any run of this process waits for a model."""
    return any(runtime.in_flight for runtime in list_runtimes())


def close_runs() -> None:
    """Close the models of every run: a worker process does so at its end."""
    for runtime in list_runtimes():
        runtime.close()
