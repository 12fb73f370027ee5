"""What prefdata itself costs: the whole flow with a scripted engine that replies at once.

N prompts x 4 responses of about 1 KB, a pairwise judge over all 6 comparisons in both orders (12
calls a prompt), best-worst pairs, the memo on, Parquet out: ingest, generate, judge, consensus,
pair, augment, filter and export as `prefdata run` runs them. Start-up is counted in. Memory is the
peak resident size of the run's own process.

    python benchmarks/overhead.py            20,000 and 200,000 prompts
    python benchmarks/overhead.py --quick    2,000 and 20,000 prompts
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import report

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


def run(count: int, more: list[str]) -> dict[str, float]:
    """Seconds, peak memory and seconds per stage of one run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_prompts(Path(folder, "prompts.jsonl"), count)
        params = Path(folder, "params.yaml")
        params.write_text(PARAMS.format(folder=folder))
        command = [sys.executable, "-m", "prefdata.cli.app", "run", "--params", str(params)]
        started = time.monotonic()
        process = subprocess.Popen(
            [*command, "--json", "--quiet", *more], stdout=subprocess.PIPE, text=True
        )
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if status:
            raise SystemExit(f"the run of {count} prompts failed with status {status}")
        summary = json.loads(output)
    pairs = summary["stages"]["export"]["out"]
    if pairs < 0.99 * count:
        raise SystemExit(f"only {pairs} pairs came out of {count} prompts")
    figures = {"seconds": seconds, "mib": usage.ru_maxrss / 1024}
    print(f"{count} prompts: {seconds:.1f} s, {figures['mib']:.0f} MiB, {summary['seconds']}")
    return figures


def main() -> None:
    """Run both sizes and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the prompts")
    arguments, more = parser.parse_known_args()
    small, large = (2_000, 20_000) if arguments.quick else (20_000, 200_000)
    few, many = run(small, more), run(large, more)
    names = (
        ("peak_mib_2k", "peak_mib_20k") if arguments.quick else ("peak_mib_20k", "peak_mib_200k")
    )
    report(
        benchmark="overhead",
        prompts=large,
        prompts_per_s=round(large / many["seconds"]),
        prompts_per_s_small=round(small / few["seconds"]),
        **{names[0]: round(few["mib"]), names[1]: round(many["mib"])},
        memory_ratio=round(many["mib"] / few["mib"], 3),
    )


if __name__ == "__main__":
    main()
