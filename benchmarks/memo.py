"""A rerun that finds everything done: the stage generate over a memo that holds all its answers.

The memo is written by a real run of the stage: 250,000 prompts, 4 answers of about 1 KB each from
the scripted engine, one million entries. Every 250 of them are committed as a segment of their
own, as a model of 60 answers a second would have it. Then the stage runs again, in a process of
its own, as `prefdata generate` runs it: keys, lookups, and the table of answers written anew. It
is measured as it is (4,000 segments), and again after `prefdata memo compact`. Start-up is
counted in; memory is the process's peak resident size.

    python benchmarks/memo.py            250,000 prompts, 1,000,000 entries
    python benchmarks/memo.py --quick    25,000 prompts, 100,000 entries
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import report
from overhead import PARAMS, write_prompts

COMMIT_ENTRIES = 250
WRITE = f"""
import sys
from prefdata import cli
from prefdata.engines import scripted
from prefdata.inference import committer
scripted.BATCH = {COMMIT_ENTRIES}
committer.WAIT_SECONDS = 0.0
sys.exit(cli.main(sys.argv[1:]))
"""


def run(command: list[str]) -> tuple[str, float, float]:
    """(standard output, seconds, peak MiB) of a command."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[:4])} … failed with status {status}")
    return output, time.monotonic() - started, usage.ru_maxrss / 1024


def again(command: list[str], entries: int) -> tuple[float, float]:
    """(seconds, peak MiB) of the rerun, which may ask for nothing."""
    output, seconds, mib = run(command)
    used = json.loads(output)["stages"]["generate"]["models"]["generate policy"]
    if used["cached"] != entries or used["requests"] != entries:
        raise SystemExit(f"of {entries} entries the rerun found {used['cached']}")
    return seconds, mib


def main() -> None:
    """Write the memo, run again, merge, run again, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the prompts")
    prompts = 25_000 if parser.parse_args().quick else 250_000
    entries = 4 * prompts
    with tempfile.TemporaryDirectory() as folder:
        write_prompts(Path(folder, "prompts.jsonl"), prompts)
        params = Path(folder, "params.yaml")
        params.write_text(PARAMS.format(folder=folder))
        options = ["--params", str(params), "--quiet", "--json"]
        prefdata = [sys.executable, "-m", "prefdata.cli"]
        run([*prefdata, "ingest", *options])
        _, writing, _ = run([sys.executable, "-c", WRITE, "generate", *options])
        stored = list(Path(folder, "data/memo").rglob("*.parquet"))
        size = sum(path.stat().st_size for path in stored)
        print(f"{entries} entries, {len(stored)} segments, {size >> 20} MiB, {writing:.1f} s")
        seconds, mib = again([*prefdata, "generate", *options], entries)
        print(f"rerun: {seconds:.1f} s, {mib:.0f} MiB")
        _, merging, merging_mib = run([*prefdata, "memo", "compact", *options])
        merged = list(Path(folder, "data/memo").rglob("*.parquet"))
        print(f"merged: {len(merged)} segments, {merging:.1f} s, {merging_mib:.0f} MiB")
        seconds_merged, mib_merged = again([*prefdata, "generate", *options], entries)
        print(f"rerun: {seconds_merged:.1f} s, {mib_merged:.0f} MiB")
    report(
        benchmark="memo",
        entries=entries,
        seconds=round(max(seconds, seconds_merged), 1),
        peak_mib=round(max(mib, mib_merged)),
        segments=len(stored),
        segments_merged=len(merged),
        seconds_small_segments=round(seconds, 1),
        seconds_merged=round(seconds_merged, 1),
        merge_seconds=round(merging, 1),
        merge_peak_mib=round(merging_mib),
    )


if __name__ == "__main__":
    main()
