"""Runs checks in a process with limits, so that a row's pattern or schema can't hang the run.

A backtracking pattern holds the interpreter's lock until it is done, which may be never: no thread
and no signal handler of the same process can end it. The limit is on CPU time, so that a busy
machine changes no verdict.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import IO, Any

import orjson

from prefdata.errors import AbortError
from prefdata.judges.checking.faults import is_of_row

Checked = tuple[float | None, str | None, str | None]
"""reward, unscored and trace of a response."""

MEMORY_BYTES = 4 << 30
"""Address space of the process."""

_IDLE: dict[tuple[int, str, str], list[_Process]] = {}
"""Processes that wait for rows, by their parent's id and their check."""

_START = "from prefdata.judges.checking.bounded import serve; serve()"


def check_rows(
    check: Callable[..., Checked], rows: Iterable[tuple[Any, ...]], seconds: int
) -> list[Checked]:
    """Call `check` on each row in a process of its own, which is replaced where a row ends it.

    Args:
        check: A function of a module. It is imported there, so its module should import little.
        rows: Its arguments: anything that JSON has.
        seconds: CPU seconds for one row.

    Returns:
        What it returned. A row that raises, runs out of time or ends the process is unscored, as
        check_failed.
    """
    # A forked process must not talk through its parent's pipes.
    idle = _IDLE.setdefault((os.getpid(), check.__module__, check.__name__), [])
    process = idle.pop() if idle else _Process(check)
    try:
        checked = [process.ask(row, seconds) for row in rows]
    except BaseException:
        # An answer may be on its way that would be taken for the next row's.
        process.end()
        raise
    idle.append(process)
    return checked


class _Process:
    """A process that answers one line of JSON with another, started when it is first asked.

    It ends when its stdin does, and so with its parent.
    """

    def __init__(self, check: Callable[..., Checked]) -> None:
        self._named = [check.__module__, check.__name__]
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, row: tuple[Any, ...], seconds: int) -> Checked:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(orjson.dumps([seconds, row]) + b"\n")
            process.stdin.flush()
        if answer := process.stdout.readline():
            reward, unscored, trace = orjson.loads(answer)
            return reward, unscored, trace
        code = process.wait()
        self.end()
        why = f"out of time: {seconds} s of CPU; see its setting seconds"
        return None, "check_failed: " + (why if code == -signal.SIGPROF else "it crashes"), None

    def end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()
        self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", _START, *self._named],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            assert process.stdout is not None
            if not process.stdout.readline():
                process.wait()
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise AbortError(f"the process that checks responses can't start: {last}")
        return process


def serve() -> None:
    """Answer each line of stdin, a row, until there are no more."""
    module, name = sys.argv[1:]
    check = getattr(importlib.import_module(module), name)
    # What a check prints must not pass for an answer.
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Ctrl-C reaches the whole group; this process ends with its parent's end of the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    answers.write(b"\n")
    answers.flush()
    for line in sys.stdin.buffer:
        seconds, row = orjson.loads(line)
        # It ends the process, whatever that is at: no handler has to be called.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            checked = check(*row)
        except BaseException as error:
            if not is_of_row(error):
                raise
            checked = None, f"check_failed: {type(error).__name__}", None
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(orjson.dumps(checked) + b"\n")
        answers.flush()
