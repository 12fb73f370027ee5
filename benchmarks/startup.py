"""How long the command line takes before it does anything.

`prefdata --help`, the slowest of all commands' --help, the completion of a key of params.yaml in
the shell, `prefdata status` of a finished run, and `prefdata run` of 100 prompts with scripted
models, whose answers cost nothing: what is left is the start of Python, the imports and each
stage's own start-up. Seconds on the clock and of processor time, each in a process of
its own; the median of N, one run before them not counted, so that bytecode and files are in the
caches.

    python benchmarks/startup.py            9 runs of each
    python benchmarks/startup.py --quick    3 runs of each
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from machine import report

from prefdata.cli.app import build_app

QUICK = 3
PROMPTS = 100
PARAMS = """
data: {folder}/data
memo: {folder}/data/memo
models:
  policy: {{engine: scripted, model: policy}}
  reference: {{engine: scripted, model: reference}}
ingest: {{sources: [{{path: {folder}/prompts.jsonl}}]}}
generate: {{n: 4}}
judge: {{judges: [{{kind: pairwise, model: policy}}, {{kind: implicit_reward}}]}}
consensus: {{kind: mean}}
ches: {{model: policy}}
pair: {{strategy: {{kind: best_worst}}}}
filter: {{filters: [{{kind: near_duplicates}}, {{kind: ches, max_quantile: 0.8}}]}}
"""


def time_command(arguments: list[str], **variables: str) -> tuple[float, float]:
    """(seconds on the clock, seconds of processor time) of a command in an environment with these
    variables. Raises CalledProcessError where it fails."""
    # Bytecode is written once and read from then on, as where prefdata is installed.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, **variables}
    command = [sys.executable, "-m", "prefdata.cli.app", *arguments]
    started, used = time.monotonic(), children_cpu()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.monotonic() - started, children_cpu() - used


def children_cpu() -> float:
    """Processor time of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(
    times: int, name: str, arguments: list[str], prepare: Callable[[], None], **variables: str
) -> dict[str, float]:
    """The medians of this many runs after a first one; `prepare` runs before each, untimed."""
    measured = []
    for _ in range(times + 1):
        prepare()
        measured.append(time_command(arguments, **variables))
    seconds, cpu = (statistics.median(column) for column in zip(*measured[1:], strict=True))
    print(f"{name}: {seconds:.2f} s, {cpu:.2f} s of processor time", flush=True)
    return {f"seconds_{name}": round(seconds, 2), f"cpu_seconds_{name}": round(cpu, 2)}


def measure_helps(times: int) -> dict[str, Any]:
    """The slowest command's --help by the median of this many runs, after one that is not
    counted."""
    commands = typer.main.get_command(build_app()).commands
    medians = {}
    for name in sorted(commands):
        line = [name, "--help"]
        measured = [time_command(line)[0] for _ in range(times + 1)]
        medians[name] = statistics.median(measured[1:])
    slowest = max(medians, key=medians.__getitem__)
    print(f"slowest help: {slowest}, {medians[slowest]:.2f} s, of {len(medians)}", flush=True)
    return {"slowest_help": slowest, "seconds_slowest_help": round(medians[slowest], 2)}


def main() -> None:
    """Measure, and report the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="3 runs of each")
    times = QUICK if parser.parse_args().quick else 9
    line = "prefdata run --set generate.t"
    shell = {"_PREFDATA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "3"}
    with tempfile.TemporaryDirectory() as folder:
        lines = [json.dumps({"prompt": f"What is {n} times {n}?"}) for n in range(PROMPTS)]
        Path(folder, "prompts.jsonl").write_text("\n".join(lines) + "\n")
        params = Path(folder, "params.yaml")
        params.write_text(PARAMS.format(folder=folder))
        named = ["--params", str(params)]

        def forget() -> None:
            shutil.rmtree(Path(folder, "data"), ignore_errors=True)

        def keep() -> None:
            """Do nothing: `status` shows the run that is there."""

        report(
            runs=times,
            prompts=PROMPTS,
            **measure(times, "run", ["run", "--quiet", *named], forget),
            **measure(times, "status", ["status", *named], keep),
            **measure(times, "help", ["--help"], keep),
            **measure_helps(1 if times == QUICK else times),
            **measure(times, "completion", [], keep, **shell),
        )


if __name__ == "__main__":
    main()
