"""Ctrl-C: said in one line, and what was finished is asked no more."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import flows
import orjson

from prefdata.cli import main


def test_an_interrupted_run_says_so_and_goes_on_from_there(tmp_path: Path) -> None:
    flows.write_prompts(tmp_path, 1500)
    slow = {"engine": "scripted", "model": "policy", "options": {"latency_seconds": 1.0}}
    models = {**flows.SCRIPTED["models"], "policy": slow}
    params = flows.write_params(tmp_path, models=models)
    assert main(["ingest", "--params", str(params), "--quiet"]) == 0

    command = [sys.executable, "-m", "prefdata.cli", "generate", "--params", str(params)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    memo = tmp_path / "data" / "memo"
    waited = time.monotonic()
    while not list(memo.rglob("*.parquet")) and time.monotonic() - waited < 60:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said

    done = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, check=True)
    used = orjson.loads(done.stdout)["stages"]["generate"]["models"]["generate policy"]
    assert used["requests"] == 6000
    assert 0 < used["cached"] < 6000
