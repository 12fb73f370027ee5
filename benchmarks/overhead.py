"""What prefdata itself costs: the whole flow with a scripted engine that replies at once.

N prompts x 4 responses of about 1 KB, a pairwise judge over all 6 comparisons in both orders (12
calls a prompt), best-worst pairs, the memo on, Parquet out: ingest, generate, judge, consensus,
pair, augment, filter and export as `prefdata run` runs them. The engine is one that every worker
has for itself: what is measured is prefdata beside a model, not the way to one.

    python benchmarks/overhead.py            20,000 and 200,000 prompts
    python benchmarks/overhead.py --quick    2,000 and 20,000 prompts
    python benchmarks/overhead.py --prompts 2000000    so many alone, and 100 million reckoned
    python benchmarks/overhead.py --prompts 2000000 --cores 1    and on one core
    python benchmarks/overhead.py --against PYTHON     and distilabel, which PYTHON has
    python benchmarks/overhead.py --prompts 200000 --direct_num_workers=8     by eight workers

Figures: `prompts_per_s` with start-up, `prompts_per_s_beyond` without it (by what the small run
takes); `scaling`, how many times longer one core takes than all; `scaling_apart`, the same of runs
that share nothing, one on each core at once: what the machine itself allows; `cpu_ratio`, the
processor time of all cores in times that of one; `startup_s`, a run of 100 prompts, and `stage_s`,
one stage of it alone; `stage_us`, microseconds a prompt, by stage; `multi_processing_s` and
`portable_s`, what a stage takes longer by worker processes and by Beam's portable runner;
`peak_mib`, of the command and of its largest worker; `written_bytes`, by table and prompt, and
`shuffled_bytes`, a prompt, where the runner shuffles over a network; `at_100_million`, what so many
prompts would take, were all as it is for those of this run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from machine import report

from prefdata.pipelines.beam.execute import MAX_WORKERS

MANY = 100_000_000
_PREFDATA = (sys.executable, "-m", "prefdata.cli.app")
PARAMS = """
data: {folder}/data
memo: {folder}/data/memo
models:
  policy: {{engine: scripted, model: policy, options: {{response_chars: 1000}}}}
ingest: {{sources: [{{path: {folder}/prompts.jsonl}}]}}
generate: {{n: 4}}
judge: {{judges: [{{kind: pairwise, model: policy}}]}}
consensus: {{kind: mean}}
pair: {{strategy: {{kind: best_worst}}}}
export: {{name: overhead}}
"""


def write_prompts(path: Path, count: int) -> None:
    """`count` distinct prompts of about 120 characters."""
    words = "why does the old river bend so far from where it was drawn on every map".split()
    draw = random.Random(0)
    with open(path, "w") as file:
        for number in range(count):
            text = f"{number}: " + " ".join(draw.choices(words, k=24))
            file.write(json.dumps({"prompt": text}) + "\n")


@dataclass
class Figures:
    """What a run took: seconds on the clock and of processor time, peak memory of the command and
    of its largest worker in MiB, seconds by stage, and bytes written by table."""

    seconds: float
    cpu: float
    mib: float
    worker_mib: float
    stages: dict[str, float]
    written: dict[str, int]


def run(count: int, *more: str, cores: Sequence[int] = ()) -> Figures:
    """A run in a process of its own, on these cores; none: all."""
    with tempfile.TemporaryDirectory() as folder:
        params = write_inputs(Path(folder), count)
        return time_run(params, "run", *more, cores=cores)


def run_apart(count: int, cores: Sequence[int]) -> list[Figures]:
    """A run on each of the cores, all at once."""
    with ThreadPoolExecutor(len(cores)) as threads:
        return list(threads.map(lambda core: run(count, cores=[core]), cores))


def write_inputs(folder: Path, count: int) -> Path:
    """The prompts and params.yaml."""
    write_prompts(folder / "prompts.jsonl", count)
    params = folder / "params.yaml"
    params.write_text(PARAMS.format(folder=folder))
    return params


def time_run(params: Path, *command: str, cores: Sequence[int] = ()) -> Figures:
    """Run a command of prefdata that prints the summary of a run."""
    allowed = cores or os.sched_getaffinity(0)
    started = time.monotonic()
    process = subprocess.Popen(
        [*_PREFDATA, *command, "--params", str(params), "--json", "--quiet"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    watched = Watched(process.pid)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    watched.ended.set()
    if status:
        raise SystemExit(f"prefdata {' '.join(command)} failed with status {status}")
    tables = [path for path in params.parent.joinpath("data").iterdir() if path.is_dir()]
    return Figures(
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        watched.worker_mib,
        json.loads(output)["seconds"],
        {path.name: sum(f.stat().st_size for f in path.rglob("*.*")) for path in tables},
    )


class Watched(threading.Thread):
    """The memory of a process's workers: what each has for itself, at its most."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.ended, self.worker_mib = process, threading.Event(), 0.0
        self.start()

    def run(self) -> None:
        with suppress(psutil.Error):
            while not self.ended.wait(0.2):
                for worker in psutil.Process(self.process).children(recursive=True):
                    with suppress(psutil.Error):
                        self.worker_mib = max(self.worker_mib, worker.memory_info().rss / 2**20)


def measure_start() -> dict[str, float]:
    """Start-up: of a run of 100 prompts, of one stage, and of a stage on other runners."""
    portable = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]
    processes = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    with tempfile.TemporaryDirectory() as folder:
        params = write_inputs(Path(folder), 100)

        def time_again(*command: str) -> Figures:
            shutil.rmtree(Path(folder, "data"), ignore_errors=True)
            return time_run(params, *command)

        time_again("run")
        plain, pooled = time_again("run"), time_again("run", *processes)
        loopback = time_again("run", *portable)
        stage = time_run(params, "consensus")
    # What starts once in a run is no part of what a stage takes.
    stages = len(plain.stages) - 1

    def compare(other: Figures) -> float:
        later = [sum(list(each.stages.values())[1:]) for each in (other, plain)]
        return round((later[0] - later[1]) / stages, 2)

    return {
        "startup_s": round(plain.seconds, 2),
        "stage_s": round(stage.seconds, 2),
        "multi_processing_s": compare(pooled),
        "portable_s": compare(loopback),
    }


def count_shuffled(count: int) -> int:
    """Bytes that a prompt's rows have in the shuffles of a cluster's runner, by a run inside this
    process."""
    from prefdata import load_params
    from prefdata.pipelines import run as runs
    from prefdata.tables import packing

    shuffled = 0
    pack = packing.pack

    def count_packed(frame: Any, *compression: Any) -> bytes:
        nonlocal shuffled
        shuffled += len(pack(frame))
        return pack(frame, *compression)

    modules = [m for m in sys.modules.values() if getattr(m, "pack", None) is pack]
    with tempfile.TemporaryDirectory() as folder:
        params = load_params(write_inputs(Path(folder), count))
        for module in modules:
            vars(module)["pack"] = count_packed
        runs.run_flow(params, ["--direct_num_workers=1"])
        for module in modules:
            vars(module)["pack"] = pack
    return round(shuffled / count)


def time_distilabel(python: str, count: int) -> dict[str, float]:
    """The seconds and the peak memory of distilabel on as many prompts."""
    script = Path(__file__).with_name("overhead_distilabel.py")
    command = [python, str(script), str(count)]
    output = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    ).stdout
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def compare_distilabel(python: str, prompts_per_s: float) -> dict[str, float]:
    """distilabel's prompts a second beyond its start-up, and how many times that ours are."""
    few, many = (time_distilabel(python, count) for count in (500, 5_000))
    theirs = 4_500 / (many["seconds"] - few["seconds"])
    return {
        "distilabel_prompts_per_s": round(theirs),
        "distilabel_mib": round(many["mib"]),
        "times_distilabel": round(prompts_per_s / theirs, 1),
    }


def describe(count: int, figures: Figures) -> None:
    """Print a run in a line."""
    print(
        f"{count:,} prompts: {figures.seconds:.1f} s, processor {figures.cpu:.1f} s, "
        f"{figures.mib:.0f} MiB, workers {figures.worker_mib:.0f} MiB each, {figures.stages}",
        flush=True,
    )


def main() -> None:
    """Run both sizes, the larger on one core too, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the prompts")
    parser.add_argument("--prompts", type=int, help="run so many prompts alone")
    parser.add_argument("--cores", type=int, help="with --prompts: take so many cores alone")
    parser.add_argument("--against", metavar="PYTHON", help="a Python that has distilabel")
    arguments, more = parser.parse_known_args()
    cores = sorted(os.sched_getaffinity(0))[:MAX_WORKERS]
    small, large = (2_000, 20_000) if arguments.quick else (20_000, 200_000)
    if arguments.prompts:
        count = arguments.prompts
        few_cores = cores[: arguments.cores] if arguments.cores else ()
        figures = run(count, *more, cores=few_cores)
        describe(count, figures)
        shuffled = count_shuffled(min(count, small))
        report(
            benchmark="overhead",
            prompts=count,
            cpu_s=round(figures.cpu, 1),
            **summarize(count, figures),
            shuffled_bytes=shuffled,
            at_100_million=reckon(count, figures, shuffled),
        )
        return
    few, many = run(small, *more), run(large, *more)
    one, apart = run(large, *more, cores=cores[:1]), run_apart(large, cores)
    for count, figures in ((small, few), (large, many), (large, one), *((large, a) for a in apart)):
        describe(count, figures)
    beyond = (large - small) / (many.seconds - few.seconds)
    report(
        benchmark="overhead",
        prompts=large,
        prompts_per_s_small=round(small / few.seconds),
        prompts_per_s_beyond=round(beyond),
        **summarize(large, many),
        peak_mib_small=round(few.mib),
        memory_ratio=round(many.mib / few.mib, 3),
        scaling=round(one.seconds / many.seconds, 2),
        scaling_apart=round(len(cores) * one.seconds / max(a.seconds for a in apart), 2),
        cpu_ratio=round(many.cpu / one.cpu, 2),
        **measure_start(),
        shuffled_bytes=count_shuffled(small),
        **(compare_distilabel(arguments.against, beyond) if arguments.against else {}),
    )


def reckon(count: int, figures: Figures, shuffled: int) -> dict[str, float]:
    """What 100 million prompts would take here, were all as it is for `count`."""
    written = sum(figures.written.values()) / count
    return {
        "hours": round(figures.seconds / count * MANY / 3600, 1),
        "processor_hours": round(figures.cpu / count * MANY / 3600, 1),
        "written_tb": round(written * MANY / 1e12, 2),
        "shuffled_gb": round(shuffled * MANY / 1e9, 1),
    }


def summarize(count: int, figures: Figures) -> dict[str, Any]:
    """The figures of one run."""
    return {
        "prompts_per_s": round(count / figures.seconds),
        "peak_mib": round(figures.mib),
        "peak_mib_worker": round(figures.worker_mib),
        "stage_us": {name: round(s / count * 1e6, 1) for name, s in figures.stages.items()},
        "written_bytes": {name: round(size / count) for name, size in figures.written.items()},
    }


if __name__ == "__main__":
    main()
