"""Ctrl-C and SIGTERM: model calls in flight are finished and kept, then the command ends.

The first signal asks every run to stop, here and in Beam's worker processes on this machine.
Engines then finish the calls in flight, and the loop commits them. Where no model is being called,
there is nothing to wait for. A second signal ends everything at once, and so does a deadline:
finished calls reach the memo within seconds anyway.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from prefdata.engines.base import GRACE_SECONDS
from prefdata.pipelines.beam import runtimes

DRIVER = "PREFDATA_DRIVER"
"""The environment variable that tells Beam's worker processes which process they belong to."""

WORKER = "prefdata.pipelines.beam.worker"
"""The module that a portable runner's worker process imports first."""
POOLED = "prefdata.pipelines.workers.process"
"""The module that a worker process of a pool runs."""
DIED = (
    "a worker process died in the middle of its work (killed, or out of memory?)",
    "Give it fewer workers (--direct_num_workers) or more memory, then run again: finished model "
    "calls are kept.",
)
"""What is said where one died: the problem and its remedy."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAVE_SECONDS = 5.0
"""Seconds for the main thread to leave, after the engines' GRACE_SECONDS."""
ORPHAN_SECONDS = 15.0
"""Seconds for the workers of a dead process to commit what is finished."""
SAME_SECONDS = 0.5
"""A signal this soon after the first is the same one, sent to both the group and the process."""
_WORKERS = {WORKER, POOLED, "apache_beam.runners.worker.sdk_worker_main"}


class Stop:
    """The handler of the signals, and their state."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at = 0.0
        self._late = False
        self._left = threading.Event()

    def exit_code(self) -> int:
        """128 plus the signal's number, as in a shell."""
        return 128 + (self.signal or signal.SIGINT)

    def receive(self, number: int, _: FrameType | None) -> None:
        """Handle a signal. Raises KeyboardInterrupt where no model call has to be finished."""
        if self._late:
            raise KeyboardInterrupt
        if self.signal is not None:
            if time.monotonic() - self._at > SAME_SECONDS:
                self._end_now("stopped at once")
            return
        self.signal, self._at = number, time.monotonic()
        runtimes.stop_runs()
        if not stop_workers() and not runtimes.is_asking():
            raise KeyboardInterrupt
        threading.Thread(target=self._watch, name="stopping", daemon=True).start()

    def leave(self) -> None:
        """Record that the main thread has left; after the deadline, end the whole process."""
        self._left.set()
        if self._late:
            runtimes.flush_runs()
            _kill_workers()
            os._exit(self.exit_code())

    def _watch(self) -> None:
        _note(
            f"stopping: what is in flight is finished, in {GRACE_SECONDS:g} s at most; "
            "once more ends it at once"
        )
        if self._left.wait(GRACE_SECONDS):
            return
        # An engine is in a long call, perhaps in another thread. As a process ends only with all
        # its threads, `leave` then exits.
        self._late = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if not self._left.wait(LEAVE_SECONDS):
            runtimes.flush_runs()
            self._end_now("did not end by itself")

    def _end_now(self, why: str) -> None:
        """End the worker processes and this process, with all its threads."""
        _kill_workers()
        _say(f"{why}. Finished model calls are kept; the same command goes on from there.")
        os._exit(self.exit_code())


@contextmanager
def graceful() -> Iterator[Stop]:
    """A context in which SIGINT and SIGTERM stop the run gracefully, by a KeyboardInterrupt."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.receive) for number in SIGNALS}
    os.environ[DRIVER] = str(os.getpid())
    try:
        yield stop
    finally:
        stop.leave()
        del os.environ[DRIVER]
        for number, handler in before.items():
            signal.signal(number, handler)


def beam_workers() -> list[Any]:
    """The worker processes (psutil) that Beam started for this process on this machine."""
    import psutil

    workers = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            # Compared by whole arguments, so that a shell that starts a worker does not match.
            if _WORKERS & set(process.cmdline()):
                workers.append(process)
    return workers


def stop_workers() -> bool:
    """Ask the worker processes to stop, those too that are suspended; whether there are any."""
    workers = beam_workers()
    for worker in workers:
        _send(worker, signal.SIGTERM)
        # A suspended process receives no other signal until it goes on.
        _send(worker, signal.SIGCONT)
    return bool(workers)


def end_orphans(driver: int) -> None:
    """Wait for the worker processes of a process that is dead, and kill those that stay.

    They end by themselves (worker.py), but may still be writing when the next run begins.
    """
    import psutil

    if psutil.pid_exists(driver):
        return
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(DRIVER) == str(driver) and _WORKERS & set(process.cmdline()):
                orphans.append(process)
    left = psutil.wait_procs(orphans, timeout=ORPHAN_SECONDS)[1]
    for orphan in left:
        _send(orphan, signal.SIGKILL)
    psutil.wait_procs(left)


def _kill_workers() -> None:
    for worker in beam_workers():
        _send(worker, signal.SIGKILL)


def _send(process: Any, number: int) -> None:
    import psutil

    with suppress(psutil.Error):
        process.send_signal(number)


def _note(text: str) -> None:
    """Print the text among the progress bars, if any: they would overwrite it."""
    drawing = [run.progress for run in runtimes.list_runtimes() if run.progress.draws]
    if drawing:
        drawing[0].note(f"prefdata: {text}")
    else:
        _say(text)


def _say(text: str) -> None:
    # Not through sys.stderr: the signal may have come in the middle of a write to it.
    os.write(2, f"\nprefdata: {text}\n".encode())
