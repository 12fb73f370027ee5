"""A worker process on this machine: it ends with the run it belongs to.

Workers of a portable runner import this module at their start, in their main thread
(`--beam_plugin`); those of a run's own pool install it. Without it, a worker whose driver was
killed would go on with its bundle, perhaps for hours, and Ctrl-C in the terminal would kill it at
once.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from types import FrameType

from prefdata.engines.base import GRACE_SECONDS
from prefdata.pipelines.beam import runtimes
from prefdata.pipelines.beam.signals import DRIVER, SIGNALS

POLL_SECONDS = 1.0


def install(driver: int) -> None:
    """Obey the driver's signal, and end when the driver is gone."""
    for number in SIGNALS:
        signal.signal(number, _stop)
    threading.Thread(target=_watch, args=(driver,), name="driver", daemon=True).start()
    atexit.register(runtimes.close_runs)


def _stop(number: int, _: FrameType | None) -> None:
    if not runtimes.is_ending():
        runtimes.end_process()
        threading.Thread(target=_late, name="stopping", daemon=True).start()


def _late() -> None:
    """End this process if an engine is still in a long call after GRACE_SECONDS."""
    time.sleep(GRACE_SECONDS)
    if runtimes.is_asking():
        runtimes.flush_runs()
        os._exit(1)


def _watch(driver: int) -> None:
    import psutil

    try:
        process = psutil.Process(driver)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    runtimes.flush_runs()
    os._exit(1)


if os.environ.get(DRIVER, str(os.getpid())) != str(os.getpid()):
    install(int(os.environ[DRIVER]))
