"""Ends the processes that a killed one leaves behind: `python -m prefdata.engines.vllm.reaper PID`.

If the process that started vLLM's core is killed with -9, the core runs on for ever and keeps the
GPU's memory. The reaper is a child of that process too. It records the processes that start under
it; when their parent is gone, it ends those that still run, and then itself.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

POLL_SECONDS = 1.0


def start_reaper() -> subprocess.Popen[bytes]:
    """Start a reaper for this process. Terminate it after a regular shutdown."""
    # A session of its own: Ctrl-C and a closed terminal do not reach it.
    return subprocess.Popen(
        [sys.executable, "-m", "prefdata.engines.vllm.reaper", str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(parent: int) -> None:
    """Wait for the parent to end, and end the processes that it left behind."""
    import psutil

    started = time.time()
    left: dict[int, psutil.Process] = {}
    while os.getppid() == parent:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(parent).children(recursive=True):
                if process.pid != os.getpid() and process.create_time() >= started - POLL_SECONDS:
                    left[process.pid] = process
        time.sleep(POLL_SECONDS)
    for process in left.values():
        # psutil compares start times, because the PID may belong to another process by now.
        with contextlib.suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]))
