"""A worker process that Beam started on this machine: it ends with the run it belongs to.

Beam imports this module at the start of each of its workers (`--beam_plugin`), in the main thread.
By itself a worker whose driver was killed goes on with its bundle, for hours if that is how long
the models take, and dies at once of the Ctrl-C that its terminal sends to everyone.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from types import FrameType

from pipelines.stopping import DRIVER, LEAVE_SECONDS, SIGNALS
from prefdata.engines.base import GRACE_SECONDS, STOPPING
from prefdata.inference.loop import IN_FLIGHT

POLL_SECONDS = 1.0


def install(driver: int) -> None:
    """Obey the driver's signal, and end when it is gone."""
    for number in SIGNALS:
        signal.signal(number, _stop)
    threading.Thread(target=_watch, args=(driver,), name="driver", daemon=True).start()
    atexit.register(_close)


def _stop(number: int, _: FrameType | None) -> None:
    if not STOPPING.is_set():
        STOPPING.set()
        wait = GRACE_SECONDS + LEAVE_SECONDS
        threading.Thread(target=_end, args=(wait, False), name="stopping", daemon=True).start()


def _watch(driver: int) -> None:
    import psutil

    try:
        process = psutil.Process(driver)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_SECONDS)
    except psutil.NoSuchProcess:
        pass
    STOPPING.set()
    _end(LEAVE_SECONDS, True)


def _end(seconds: float, early: bool) -> None:
    """End this process after so many seconds; `early`: as soon as no model is being asked."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not (early and not IN_FLIGHT):
        time.sleep(0.1)
    os._exit(1)


def _close() -> None:
    from pipelines.flow import close_engines

    close_engines()


if os.environ.get(DRIVER, str(os.getpid())) != str(os.getpid()):
    install(int(os.environ[DRIVER]))
