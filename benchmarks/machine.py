"""The machine that a benchmark ran on, what a command took there, and the benchmark's last line."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from typing import Any


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory, Python."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(x.split(":")[1].strip() for x in file if x.startswith("model name"))
    except (OSError, StopIteration):
        pass
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "python": sys.version.split()[0],
    }


def report(**figures: Any) -> None:
    """Print the figures and the machine as one JSON object, the last line."""
    print(json.dumps({**figures, "machine": machine()}), flush=True)


def run(*arguments: str) -> dict[str, float]:
    """A command of prefdata: seconds, CPU seconds, peak MiB."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "prefdata.cli.app", *arguments], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"prefdata {' '.join(arguments)} failed with status {status}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }
