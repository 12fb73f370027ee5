"""Runs a response's Python code against given tests in a process of its own, with limits.

What it is: a subprocess in an empty folder of its own, without the parent's environment, with
limits on CPU time, idle time, memory, file size, open files and new processes, cut off from the
network where Linux lets an unprivileged process do that, and killed with its process group.

What it is not: a wall against malicious code. The code can read every file that the user can read,
and write where the user can write. As root it can start processes and leave its process group. It
shares an interpreter with the tests, so code that looks for them can cheat. If responses can't be
trusted, run prefdata in a container or a virtual machine.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import orjson
import psutil

IDLE = 4
"""Seconds that the code may be idle, for each of its CPU seconds."""

_LOOK = 0.1
"""Seconds between two looks at whether the code is idle."""

RESULT_BYTES = 1 << 20
"""The largest file that the code may write. What it prints is discarded."""


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


def run_tests(code: str, tests: list[str], limits: Limits) -> Outcome:
    """Run the code, and then each test with the code's names in scope."""
    nonce = secrets.token_hex(16)
    job = {"code": code, "tests": tests, "nonce": nonce, "bytes": RESULT_BYTES}
    job |= {"seconds": limits.seconds, "memory": limits.memory_mb << 20}
    with (
        tempfile.TemporaryDirectory(prefix="prefdata-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as result,
    ):
        # As isolated as -I, which would also ignore the hash seed: sets keep their order.
        process = subprocess.Popen(
            [sys.executable, "-s", "-P", "-c", _HARNESS],
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
    if code == -signal.SIGXCPU:
        return Outcome(stopped=f"out of time: {limits.seconds} s of CPU")
    # Code that ends the process before the tests has passed none of them.
    for line in reversed(written.splitlines()):
        with contextlib.suppress(orjson.JSONDecodeError):
            outcome = orjson.loads(line)
            if isinstance(outcome, dict) and outcome.get("nonce") == nonce:
                return Outcome(tuple(outcome["tests"]), outcome["stopped"], outcome["isolated"])
    return Outcome(stopped="ended before the tests did")


_HARNESS = r"""
import ctypes, gc, json, os, resource, signal, sys
job = json.loads(sys.stdin.buffer.read())
uid, gid = os.getuid(), os.getgid()
isolated = False
if sys.platform == "linux":
    libc = ctypes.CDLL(None, use_errno=True)
    isolated = libc.unshare(0x10000000 | 0x40000000) == 0  # a user and a network namespace
    if isolated:
        # Without a map of ids no file can be made.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"),
                           ("gid_map", f"{gid} {gid} 1")):
            try:
                with open("/proc/self/" + name, "w") as file:
                    file.write(text)
            except OSError:
                pass
    else:
        isolated = libc.unshare(0x40000000) == 0  # root may without
null = os.open(os.devnull, os.O_RDWR)
out = os.dup(1)
for fd in (0, 1, 2):
    os.dup2(null, fd)
def limit(name, value):
    try:
        resource.setrlimit(getattr(resource, name), (value, value))
    except (AttributeError, ValueError, OSError):
        pass  # not every system has every limit
soft = job["seconds"]
resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 1))
limit("RLIMIT_AS", job["memory"])
limit("RLIMIT_FSIZE", job["bytes"])
limit("RLIMIT_NOFILE", 64)
limit("RLIMIT_NPROC", 0)
limit("RLIMIT_CORE", 0)
def name_of(error):
    return type(error).__name__[:60]
tests, stopped = [], None
names = {"__name__": "answer"}
try:
    exec(compile(job["code"], "answer", "exec"), names)
except BaseException as error:
    stopped = "the code fails: " + name_of(error)
else:
    for test in job["tests"]:
        try:
            exec(compile(test, "test", "exec"), names)
            tests.append("")
        except BaseException as error:
            tests.append(name_of(error))
outcome = json.dumps({"nonce": job["nonce"], "tests": tests, "stopped": stopped,
                      "isolated": isolated})
os.write(out, b"\n" + outcome.encode() + b"\n")
os._exit(0)
"""
