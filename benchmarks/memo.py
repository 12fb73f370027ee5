"""A rerun that finds everything done: the stage generate over a memo that holds all its responses.

250,000 prompts, 4 responses of about 1 KB of distinct words each: one million entries, written by
the memo's own commit, 250 entries at a time, which is what a model of 80 responses a second makes
of the 3 seconds between two commits. Then the stage runs, in a process of its own, as
`prefdata generate` runs it: keys, lookups, and the table of responses written anew. It is measured
over the 4,000 segments as they are, and again after `prefdata memo compact`; the slower of the two
counts. Start-up is counted in; memory is the process's peak resident size.

    python benchmarks/memo.py            250,000 prompts, 1,000,000 entries
    python benchmarks/memo.py --quick    5,000 prompts, 20,000 entries
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

import polars as pl
from machine import report
from overhead import PARAMS, write_prompts

from prefdata.config import Params, load_params
from prefdata.engines.base import OPERATIONS, results
from prefdata.engines.registry import Engines
from prefdata.inference import Memo
from prefdata.inference.keys import request_keys
from prefdata.records import Prompt
from prefdata.tables import read_bucket, read_info
from prefdata.tables.catalog import Catalog

COMMIT_ENTRIES = 250
RESPONSE_CHARS = 1000


def write_memo(params: Params) -> None:
    """Commit a response to every request that the stage would make, bucket by bucket."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(20_000)]
    corpus = " ".join(draw.choices(words, k=8_000_000))
    memo, prompts = Memo(params.memo or ""), Catalog(params.data).table("prompts", Prompt)
    fingerprint = Engines(params.models)["policy"].fingerprint
    settings = params.generate.list_policies()[0].sampling
    samples = pl.DataFrame({"sample_index": range(params.generate.n)})
    info = read_info(prompts)
    for bucket in range(info.buckets):
        rows = read_bucket(prompts, bucket, info).join(samples, how="cross")
        asked = OPERATIONS["generate"].request
        keys = request_keys(fingerprint, "generate", settings, rows, asked)
        requests = pl.DataFrame({"key": keys, "prompt_id": rows["prompt_id"]})
        for some in requests.iter_slices(COMMIT_ENTRIES):
            starts = [draw.randrange(len(corpus) - RESPONSE_CHARS) for _ in range(some.height)]
            responses = results(
                "generate",
                some["key"],
                text=[corpus[start : start + RESPONSE_CHARS] for start in starts],
                n_tokens=[250] * some.height,
                n_prompt_tokens=[40] * some.height,
                finish_reason=["stop"] * some.height,
                cumulative_logprob=[-draw.random() * 100 for _ in starts],
            )
            memo.commit("generate", fingerprint, responses, some)


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
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the prompts")
    prompts = 5_000 if parser.parse_args().quick else 250_000
    entries = 4 * prompts
    with tempfile.TemporaryDirectory() as folder:
        write_prompts(Path(folder, "prompts.jsonl"), prompts)
        params = Path(folder, "params.yaml")
        params.write_text(PARAMS.format(folder=folder))
        options = ["--params", str(params), "--quiet", "--json"]
        prefdata = [sys.executable, "-m", "prefdata.cli.app"]
        run([*prefdata, "ingest", *options])
        started = time.monotonic()
        write_memo(load_params(params))
        writing = time.monotonic() - started
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
