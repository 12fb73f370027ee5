"""Runs a response's Python code against given tests, with limits.

By bubblewrap (`bwrap`), where the system has it: the code sees Python, the system's libraries and
an empty folder of its own, no other file, no network and no process, and it ends with its run. Else
in a process of its own: docs/how-to/choose_judges.md has the table of what that does not hold.

Both start in an empty folder, without the parent's environment, with limits on CPU time, idle time,
memory, file size and open files. The code can start threads. Where Linux filters system calls
(x86-64, 64-bit ARM), it can start no processes, open no sockets and signal nobody else, whoever
runs it.

The code shares an interpreter with its tests, so code that looks for them can cheat.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import orjson
import psutil

IDLE = 4
"""Seconds that the code may be idle, for each of its CPU seconds."""

_LOOK = 0.1
"""Seconds between two looks at whether the code is idle."""

RESULT_BYTES = 1 << 20
"""The largest file that the code may write. What it prints is discarded."""


Runner = Literal["bwrap", "process"]

_HARNESS = Path(__file__).with_name("harness.py").read_text(encoding="utf-8")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
"""What Python needs of a Linux system."""


@dataclass(frozen=True)
class Limits:
    """Limits on a run of the code: CPU seconds (idle: `IDLE` times that) and megabytes of address
    space."""

    seconds: int = 5
    memory_mb: int = 1024


@dataclass(frozen=True)
class Outcome:
    """The outcome of running the code and its tests.

    Args:
        tests: The error of each test, "" if it passed.
        stopped: Why the tests did not run to the end; None if they did.
        isolated: Whether the code was cut off from the network.
    """

    tests: tuple[str, ...] = ()
    stopped: str | None = None
    isolated: bool = False


@cache
def find_runner() -> Runner:
    """The strictest runner that works here."""
    with tempfile.TemporaryDirectory(prefix="prefdata-") as folder:
        command = [*_enter(folder), sys.executable, "-c", ""]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run(command, capture_output=True, timeout=60).returncode == 0:
                return "bwrap"
    return "process"


def _enter(folder: str) -> list[str]:
    """The start of a command line that bubblewrap runs, with this folder as the only one of its
    own."""
    python = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent)}
    shown = [*_SYSTEM, *sorted(python, key=len)]
    return [
        *(shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--new-session"),
        *("--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"),
        *(word for path in shown for word in ("--ro-bind-try", path, path)),
        *("--bind", folder, folder, "--remount-ro", "/", "--chdir", folder, "--"),
    ]


def run_tests(code: str, tests: list[str], limits: Limits, runner: Runner = "process") -> Outcome:
    """Run the code, and then each test with the code's names in scope."""
    nonce = secrets.token_hex(16)
    job = {"code": code, "tests": tests, "nonce": nonce, "bytes": RESULT_BYTES}
    job["isolated"] = runner == "bwrap"
    job |= {"seconds": limits.seconds, "memory": limits.memory_mb << 20}
    with (
        tempfile.TemporaryDirectory(prefix="prefdata-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as result,
    ):
        # As isolated as -I, which would also ignore the hash seed: sets keep their order.
        process = subprocess.Popen(
            [
                *(_enter(folder) if runner == "bwrap" else []),
                *(sys.executable, "-s", "-P", "-c", _HARNESS),
            ],
            stdin=subprocess.PIPE,
            stdout=result,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={"PYTHONHASHSEED": "0", "HOME": folder, "TMPDIR": folder, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            if not _finish(process, orjson.dumps(job), IDLE * limits.seconds):
                return Outcome(stopped=f"out of time: idle for {IDLE * limits.seconds} s")
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        result.seek(0)
        return _read_outcome(result.read(RESULT_BYTES), nonce, process.returncode, limits)


def _finish(process: subprocess.Popen[bytes], job: bytes, idle_seconds: float) -> bool:
    """Give the process its job and wait until it ends, or has been idle for so long: False.

    Time in which it waits for a processor is no idle time, or the verdict would depend on what
    else the machine does. The limit on CPU time ends code that is never idle.
    """
    watched = psutil.Process(process.pid)
    idle, looked, used = 0.0, time.monotonic(), -1.0
    given: bytes | None = job
    while True:
        try:
            process.communicate(given, timeout=_LOOK)
            return True
        except subprocess.TimeoutExpired:
            given = None
        since, looked = time.monotonic() - looked, time.monotonic()
        now_used, runs = _look_at(watched)
        # A look that comes late, on a busy machine, says nothing of the time before it.
        idle += 0 if runs or now_used > used else min(since, 2 * _LOOK)
        used = now_used
        if idle >= idle_seconds:
            return False


def _look_at(process: psutil.Process) -> tuple[float, bool]:
    """The CPU seconds of the process and its children, and whether one of them wants to run."""
    used, runs = 0.0, False
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error), each.oneshot():
                times = each.cpu_times()
                used += times.user + times.system
                runs = runs or each.status() == psutil.STATUS_RUNNING
    return used, runs


def _read_outcome(written: bytes, nonce: str, code: int, limits: Limits) -> Outcome:
    # bubblewrap reports a signal as a shell does.
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return Outcome(stopped=f"out of time: {limits.seconds} s of CPU")
    # Code that ends the process before the tests has passed none of them.
    for line in reversed(written.splitlines()):
        with contextlib.suppress(orjson.JSONDecodeError):
            outcome = orjson.loads(line)
            if isinstance(outcome, dict) and outcome.get("nonce") == nonce:
                return Outcome(tuple(outcome["tests"]), outcome["stopped"], outcome["isolated"])
    return Outcome(stopped="ended before the tests did")
