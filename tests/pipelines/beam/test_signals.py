"""Ctrl-C, SIGTERM, kill -9: what was finished is asked no more, and no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flows
import orjson
import psutil
import pytest

from prefdata.cli.app import main

SEVERAL = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


class Run:
    """`prefdata generate` with a model that takes `seconds` for 1,000 responses, of 6,000."""

    def __init__(self, folder: Path, seconds: float, *more: str) -> None:
        flows.write_prompts(folder, 1500)
        options = {"latency_seconds": seconds}
        slow = {"engine": "scripted", "model": "policy", "options": options}
        models = {**flows.SCRIPTED["models"], "policy": slow}
        params = flows.write_params(folder, models=models)
        assert main(["ingest", "--params", str(params), "--quiet"]) == 0
        self.memo = folder / "data" / "memo"
        command = [sys.executable, "-m", "prefdata.cli.app", "generate", "--params", str(params)]
        self.command = [*command, *more]
        self.process = subprocess.Popen(
            self.command, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.children: list[psutil.Process] = []

    def wait_for(self, reached: Callable[[], object]) -> None:
        """Wait until it is so, and take note of the processes there are."""
        until = time.monotonic() + 120
        while not reached() and time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.05)
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def committed(self) -> bool:
        return bool(list(self.memo.rglob("*.parquet")))

    def end(self) -> tuple[int, str]:
        """Exit code, and what it said; no child may be left then."""
        said = self.process.communicate(timeout=120)[1]
        _, alive = psutil.wait_procs(self.children, timeout=30)
        left = [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
        for process in left:
            process.kill()
        assert left == []
        return self.process.returncode, said

    def resumed(self) -> dict[str, Any]:
        """What the same command asks for, run again."""
        done = subprocess.run([*self.command, "--json"], stdout=subprocess.PIPE, check=True)
        used: dict[str, Any] = orjson.loads(done.stdout)
        found: dict[str, Any] = used["stages"]["generate"]["models"]["generate policy"]
        return found


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_an_interrupted_run_says_so_and_goes_on_from_there(
    tmp_path: Path, number: int, code: int
) -> None:
    run = Run(tmp_path, 1.0)
    run.wait_for(run.committed)
    run.process.send_signal(number)
    ended, said = run.end()
    assert ended == code, said
    assert "what is in flight is finished, in 10 s at most" in said
    assert "interrupted. Finished model calls are kept; the same command goes on" in said
    assert "Traceback" not in said
    used = run.resumed()
    assert used["requests"] == 6000
    assert 0 < used["cached"] < 6000


@pytest.mark.slow
def test_an_engine_in_the_middle_of_something_long_is_left_after_ten_seconds(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, 600.0)
    time.sleep(10)
    started = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    code, said = run.end()
    assert code == 130, said
    assert "goes on from there" in said
    assert time.monotonic() - started < 60


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], SEVERAL], ids=["threads", "processes"])
def test_a_second_signal_ends_everything_at_once(tmp_path: Path, more: list[str]) -> None:
    run = Run(tmp_path, 600.0, *more)
    time.sleep(15)
    run.wait_for(lambda: True)
    run.process.send_signal(signal.SIGINT)
    time.sleep(1)
    run.process.send_signal(signal.SIGINT)
    code, said = run.end()
    assert code == 130, said
    assert "stopped at once. Finished model calls are kept" in said


@pytest.mark.slow
@pytest.mark.parametrize("group", [False, True], ids=["driver", "terminal"])
def test_worker_processes_stop_with_their_run(tmp_path: Path, group: bool) -> None:
    run = Run(tmp_path, 1.0, *SEVERAL)
    run.wait_for(run.committed)
    assert len(run.children) == 2
    if group:
        os.killpg(run.process.pid, signal.SIGINT)
    else:
        run.process.send_signal(signal.SIGINT)
    code, said = run.end()
    assert code == 130, said
    assert "Traceback" not in said
    assert 0 < run.resumed()["cached"] < 6000


@pytest.mark.slow
def test_worker_processes_are_gone_when_their_run_was_killed(tmp_path: Path) -> None:
    run = Run(tmp_path, 2.0, *SEVERAL)
    run.wait_for(run.committed)
    assert len(run.children) == 2
    run.process.kill()
    assert run.end()[0] == -signal.SIGKILL
    assert run.resumed()["cached"] > 0


@pytest.mark.slow
def test_a_worker_process_that_dies_is_said(tmp_path: Path) -> None:
    run = Run(tmp_path, 1.0, *SEVERAL)
    run.wait_for(run.committed)
    run.children[0].kill()
    code, said = run.end()
    assert code == 1, said
    assert "a worker process died in the middle of its work" in said
    assert "remedy: Give it fewer workers (--direct_num_workers) or more memory" in said
