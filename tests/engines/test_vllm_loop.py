"""The loop of continuous batching on a core that only counts: nothing lost, nothing twice."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.engines.vllm import loop as vllm_loop
from prefdata.engines.vllm.loop import AHEAD, Finished, Loop, Request
from prefdata.errors import ModelError


class CountingCore:
    """Runs `running` requests at once; request n takes n % 7 + 1 steps."""

    def __init__(self, running: int = 4, dies_after: int = 1 << 30, pause: float = 0.0) -> None:
        self.running = running
        self.left: dict[str, list[int]] = {}
        self.most = self.steps = 0
        self.dies_after, self.pause = dies_after, pause
        self.threads: set[int] = set()
        self.closed = 0

    def add(self, id: str, request: Request) -> str | None:
        self.threads.add(threading.get_ident())
        if request.params() is None:
            return "not this one"
        self.left[id] = [request.row, request.row % 7 + 1]
        self.most = max(self.most, len(self.left))
        return None

    def step(self) -> list[tuple[str, Any]]:
        self.threads.add(threading.get_ident())
        self.steps += 1
        if self.steps > self.dies_after:
            raise ModelError("models.policy: vLLM stopped working")
        time.sleep(self.pause)
        for id in list(self.left)[: self.running]:
            self.left[id][1] -= 1
        done = [(id, row) for id, (row, steps) in self.left.items() if steps == 0]
        for id, _ in done:
            del self.left[id]
        return done

    def abort(self, ids: list[str]) -> None:
        for id in ids:
            self.left.pop(id, None)

    def close(self) -> None:
        self.closed += 1


def requests(rows: range, refused: frozenset[int] = frozenset()) -> list[Request]:
    return [Request(row, [row], lambda row=row: None if row in refused else row) for row in rows]


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    running=st.integers(1, 9),
    refused=st.frozensets(st.integers(0, 60)),
)
def test_every_caller_gets_each_of_its_rows_once(
    sizes: list[int], running: int, refused: frozenset[int]
) -> None:
    core = CountingCore(running)
    loop = Loop(lambda: core, threading.Event())
    got: dict[int, list[Finished]] = {}

    def ask(caller: int, size: int) -> None:
        frames = loop.ask(requests(range(size), refused))
        got[caller] = [each for frame in frames for each in frame]

    threads = [threading.Thread(target=ask, args=item) for item in enumerate(sizes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    loop.close()
    loop.close()
    for caller, size in enumerate(sizes):
        assert sorted(each.row for each in got[caller]) == list(range(size))
        for each in got[caller]:
            assert (each.error == "refused: not this one") == (each.row in refused)
            assert each.error is not None or each.output == each.row
    assert core.most <= AHEAD * running
    assert len(core.threads) <= 1
    assert core.closed == 1


def test_an_error_of_the_core_comes_after_what_had_finished() -> None:
    core = CountingCore(dies_after=3)
    loop = Loop(lambda: core, threading.Event())
    got: list[Finished] = []
    with pytest.raises(ModelError, match="stopped working"):
        got.extend(each for frame in loop.ask(requests(range(100))) for each in frame)
    assert [each.row for each in got] == [0, 1, 2]
    with pytest.raises(ModelError, match="stopped working"):
        list(loop.ask(requests(range(3))))
    loop.close()
    assert core.closed == 1


def test_what_loading_raises_is_raised_to_who_loads() -> None:
    def fail() -> CountingCore:
        raise ModelError("models.policy: no device")

    with pytest.raises(ModelError, match="no device"):
        Loop(fail, threading.Event())


def test_a_caller_that_leaves_takes_its_requests_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_loop, "YIELD_SECONDS", 0.01)
    core = CountingCore(pause=0.005)
    loop = Loop(lambda: core, threading.Event())
    frames = loop.ask(requests(range(10_000)))
    next(frames)
    frames.close()
    got = [each.row for frame in loop.ask(requests(range(5))) for each in frame]
    assert sorted(got) == list(range(5))
    assert not core.left
    loop.close()


def test_stopping_finishes_what_runs_and_takes_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopping = threading.Event()
    monkeypatch.setattr(vllm_loop, "YIELD_SECONDS", 0.01)
    core = CountingCore(pause=0.005)
    loop = Loop(lambda: core, stopping)
    got = []
    for frame in loop.ask(requests(range(10_000))):
        got += [each.row for each in frame]
        stopping.set()
    # Taken up in order, so all but those that were given up while they waited.
    assert len(got) == len(set(got)) < 200
    assert not core.left
    assert list(loop.ask(requests(range(5)))) == []
    stopping.clear()
    assert sum(len(frame) for frame in loop.ask(requests(range(5)))) == 5
    loop.close()


def test_a_grace_that_runs_out_gives_up_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopping = threading.Event()
    monkeypatch.setattr(vllm_loop, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(vllm_loop, "YIELD_SECONDS", 0.01)
    core = CountingCore(running=2, pause=0.04)
    loop = Loop(lambda: core, stopping)
    stop = threading.Timer(0.1, stopping.set)
    stop.start()
    got = [each.row for frame in loop.ask(requests(range(6, 1000, 7))) for each in frame]
    assert len(got) < 10
    assert not core.left
    loop.close()
