"""Checking a preference dataset without a model: time and memory, as the command runs.

Made-up pairs in TRL's form, in two splits: prompts and responses are real texts and their sentences
(benchmarks/corpus.py), some twice, turned round, refused or with thoughts on one side.

    python benchmarks/check.py            100,000 pairs
    python benchmarks/check.py --quick    2,000 pairs
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import polars as pl
from corpus import DEMO, texts
from machine import report, run

TURNED, TWICE, THOUGHTS, REFUSED = 97, 89, 83, 79
"""Every so many pairs have this defect."""


def make_pairs(count: int) -> pl.DataFrame:
    """The pairs: prompt, chosen and rejected as messages, split."""
    prompts, _ = texts(DEMO, count)
    responses, _ = texts(DEMO, count + 1, seed=1)
    number = pl.int_range(pl.len())
    rows = pl.DataFrame(
        {"prompt": prompts, "chosen": responses[:count], "rejected": responses[1 : count + 1]}
    ).with_columns(
        chosen=pl.when(number % THOUGHTS == 1)
        .then(pl.format("<think>\nWell.\n</think>\n\n{}", "chosen"))
        .otherwise("chosen"),
        rejected=pl.when(number % REFUSED == 1)
        .then(pl.lit("I'm sorry, but I cannot help with that request."))
        .otherwise("rejected"),
        split=pl.when(number % 10 == 0).then(pl.lit("test")).otherwise(pl.lit("train")),
    )
    turned = rows.filter(number % TURNED == 1).rename({"chosen": "rejected", "rejected": "chosen"})
    rows = pl.concat([rows, turned.select(rows.columns), rows.filter(number % TWICE == 1)])
    speak = {
        name: pl.concat_list(pl.struct(pl.lit(role).alias("role"), pl.col(name).alias("content")))
        for name, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))
    }
    # The defects stand at the end: as many sound pairs make room for them.
    return rows.tail(count).with_columns(**speak)


def write_dataset(folder: Path, count: int) -> int:
    """Write the splits; the number of pairs."""
    pairs = make_pairs(count)
    for split in ("train", "test"):
        pairs.filter(split=split).drop("split").write_parquet(folder / f"{split}.parquet")
    return pairs.height


def main() -> None:
    """Write, run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fiftieth")
    parser.add_argument("--folder", type=Path, help="keep the dataset here, and read it again")
    arguments = parser.parse_args()
    count = 2_000 if arguments.quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name) / "dataset"
        if not folder.exists():
            folder.mkdir(parents=True)
            print(f"{folder}: {write_dataset(folder, count):,} pairs", flush=True)
        # `datasets` keeps what it loads; each run is to load it.
        os.environ["HF_HOME"] = str(Path(name) / "cache")
        report(
            benchmark="check",
            pairs=count,
            **run("check", str(folder), "--json", "--quiet", "--fail-on", "never"),
        )


if __name__ == "__main__":
    main()
