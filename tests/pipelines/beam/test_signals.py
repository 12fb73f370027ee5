"""Ctrl-C, SIGTERM, kill -9: what was finished is asked no more, and no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import psutil
import pytest

from prefdata.pipelines.beam import signals

SEVERAL = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
REQUESTS = 6000
ENDLESS = 600.0
"""Seconds of a batch that no test waits for."""


class Command:
    """`prefdata generate` with a model that takes `seconds` for 1,000 responses, of REQUESTS."""

    def __init__(self, folder: Path, seconds: float, *more: str) -> None:
        options = {"latency_seconds": seconds}
        slow = {"engine": "scripted", "model": "policy", "options": options}
        models = {**flows.SCRIPTED["models"], "policy": slow}
        flows.run(flows.params(folder, REQUESTS // 4, models=models, buckets=4), "ingest")
        self.memo, self.table = folder / "data" / "memo", folder / "data" / "responses"
        path = str(folder / "params.yaml")
        self.arguments = [sys.executable, "-m", "prefdata.cli.app", "generate", "--params", path]
        self.process = subprocess.Popen(
            [*self.arguments, *more], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.children: list[psutil.Process] = []

    def wait_for(self, is_reached: Callable[[], object]) -> None:
        """Wait until it is so, and take note of the processes there are."""
        until = time.monotonic() + 120
        while not is_reached() and time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.05)
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def has_committed(self) -> bool:
        return bool(list(self.memo.rglob("*.parquet")))

    def is_asking(self, workers: int) -> bool:
        """Whether the stage has begun, and it and so many workers do nothing but wait for the
        model."""
        process = psutil.Process(self.process.pid)
        everyone = [process, *process.children(recursive=True)]
        if not self.table.exists() or len(everyone) != 1 + workers:
            return False
        before = sum(sum(each.cpu_times()[:2]) for each in everyone)
        time.sleep(2)
        now = sum(sum(each.cpu_times()[:2]) for each in everyone)
        return now - before < 0.1

    def end(self) -> tuple[int, str]:
        """Exit code, and what it wrote; no child may be left then."""
        written = self.process.communicate(timeout=120)[1]
        _, alive = psutil.wait_procs(self.children, timeout=30)
        left = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
        for process in left:
            process.kill()
        assert left == []
        return self.process.returncode, written

    def count_remembered(self) -> int:
        """The requests that the memo holds."""
        keys = [pl.read_parquet(file, columns=["key"]) for file in self.memo.rglob("*.parquet")]
        return pl.concat(keys).n_unique()

    def resume(self) -> dict[str, Any]:
        """What the same command asks for, run again to its end."""
        done = subprocess.run([*self.arguments, "--json"], stdout=subprocess.PIPE, check=True)
        used: dict[str, Any] = orjson.loads(done.stdout)["stages"]["generate"]["models"]
        return used["generate policy"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_an_interrupted_run_says_so_and_goes_on_from_there(
    tmp_path: Path, number: int, code: int
) -> None:
    command = Command(tmp_path, 1.0)
    command.wait_for(command.has_committed)
    command.process.send_signal(number)
    ended, written = command.end()
    assert ended == code, written
    assert "what is in flight is finished, in 10 s at most" in written
    assert "interrupted. Finished model calls are kept; the same command goes on" in written
    assert "Traceback" not in written
    remembered = command.count_remembered()
    assert 0 < remembered < REQUESTS
    if number == signal.SIGINT:
        used = command.resume()
        assert (used["requests"], used["cached"]) == (REQUESTS, remembered)


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process like a worker, of a driver that is dead."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", signals.WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, signals.DRIVER: str(dead.pid)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_suspended_worker_process_stops_with_its_run(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
    stop = signals.Stop()
    stop.receive(signal.SIGTERM, None)
    stop.leave()
    assert worker.wait(60) == -signal.SIGTERM
    assert stop.exit_code() == 143


def test_the_workers_of_a_dead_run_are_gone_before_the_next_begins(
    worker: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "ORPHAN_SECONDS", 0.01)
    driver = int(psutil.Process(worker.pid).environ()[signals.DRIVER])
    signals.end_orphans(os.getpid())
    assert worker.poll() is None
    signals.end_orphans(driver)
    assert not psutil.pid_exists(worker.pid)


@pytest.mark.slow
def test_an_engine_in_the_middle_of_something_long_is_left_after_ten_seconds(
    tmp_path: Path,
) -> None:
    command = Command(tmp_path, ENDLESS)
    command.wait_for(lambda: command.is_asking(0))
    started = time.monotonic()
    command.process.send_signal(signal.SIGINT)
    code, written = command.end()
    assert code == 130, written
    assert "goes on from there" in written
    assert 10 <= time.monotonic() - started < 60


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], SEVERAL], ids=["threads", "processes"])
def test_a_second_signal_ends_everything_at_once(tmp_path: Path, more: list[str]) -> None:
    command = Command(tmp_path, ENDLESS, *more)
    command.wait_for(lambda: command.is_asking(2 if more else 0))
    command.process.send_signal(signal.SIGINT)
    time.sleep(1)
    command.process.send_signal(signal.SIGINT)
    code, written = command.end()
    assert code == 130, written
    assert "stopped at once. Finished model calls are kept" in written


@pytest.mark.slow
@pytest.mark.parametrize("group", [False, True], ids=["driver", "terminal"])
def test_worker_processes_stop_with_their_run(tmp_path: Path, group: bool) -> None:
    command = Command(tmp_path, 1.0, *SEVERAL)
    command.wait_for(command.has_committed)
    assert len(command.children) == 2
    if group:
        os.killpg(command.process.pid, signal.SIGINT)
    else:
        command.process.send_signal(signal.SIGINT)
    code, written = command.end()
    assert code == 130, written
    assert "Traceback" not in written
    assert 0 < command.count_remembered() < REQUESTS


@pytest.mark.slow
def test_worker_processes_are_gone_when_their_run_was_killed(tmp_path: Path) -> None:
    command = Command(tmp_path, 2.0, *SEVERAL)
    command.wait_for(command.has_committed)
    assert len(command.children) == 2
    command.process.kill()
    assert command.end()[0] == -signal.SIGKILL
    assert command.count_remembered() > 0


@pytest.mark.slow
def test_a_worker_process_that_dies_is_named_as_the_cause(tmp_path: Path) -> None:
    command = Command(tmp_path, 1.0, *SEVERAL)
    command.wait_for(command.has_committed)
    command.children[0].kill()
    code, written = command.end()
    assert code == 1, written
    assert "Traceback" not in written
    assert "a worker process died in the middle of its work" in written
    assert "remedy: Give it fewer workers (--direct_num_workers) or more memory" in written
