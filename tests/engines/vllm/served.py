"""Real vLLM servers on loopback, for the tests of this folder: started once each, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 300
MODEL = "served"
KEY = "the-key-of-the-served-model"

# `vllm serve` reads the version of the package `vllm`, which vLLM's CPU build is not called; this
# is the server that it starts.
SERVER = "vllm.entrypoints.openai.api_server"


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, log: Path, *arguments: str) -> Iterator[str]:
    """A server of the model in `folder`; the address that base_urls takes."""
    port = free_port()
    given = ["--model", str(folder), "--served-model-name", MODEL, "--dtype", "float32"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--api-key", KEY]
    more = ["--enforce-eager", "--kv-cache-memory-bytes", str(200 << 20)]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with open(log, "wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", SERVER, *given, *where, *more, *arguments],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=log.parent,
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.5)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")
