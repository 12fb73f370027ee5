"""Processes whose parent was killed with -9 are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

PARENT = """
import subprocess, sys, time
from prefdata.engines.vllm import reaper
before = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(1.5)
watching = reaper.start_reaper()
child = subprocess.Popen([
    sys.executable, "-c",
    "import subprocess, sys, time; g = subprocess.Popen([sys.executable, '-c', "
    "'import time; time.sleep(60)']); print(g.pid, flush=True); time.sleep(60)",
], stdout=subprocess.PIPE, text=True)
print(watching.pid, before.pid, child.pid, child.stdout.readline().strip(), flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_killed_process_leaves_is_ended() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    watching, before, *children = map(int, parent.stdout.readline().split())
    time.sleep(2.5)
    assert all(map(alive, [watching, before, *children]))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    waited = time.monotonic()
    while any(map(alive, [watching, *children])) and time.monotonic() - waited < 20:
        time.sleep(0.1)
    assert not any(map(alive, [watching, *children]))
    # What was there before it watched is not its own to end.
    assert alive(before)
    os.kill(before, signal.SIGKILL)
