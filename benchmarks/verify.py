"""Verifying a version of a dataset, and comparing two: time and memory, as the commands run.

Versions of made-up pairs in TRL's format, written as the stage export writes one: prompts of 50
words, responses of 150, two judges, a tenth in the test split. The second version lacks a twentieth
of the pairs, has another twentieth the other way round, and other rewards for a tenth.

    python benchmarks/verify.py            1,000,000 pairs
    python benchmarks/verify.py --quick    20,000 pairs
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from machine import report, run

from prefdata.dataset.exports.base import ExportBucket
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.manifest import (
    ExportEntry,
    LabelsEntry,
    Manifest,
    StageEntry,
    compute_version,
    digest_content,
)
from prefdata.dataset.shards import describe_shards, encode_shard, name_shard
from prefdata.dataset.versions import begin_dataset, name_unfinished, publish_version
from prefdata.files import storage
from prefdata.messages.columns import CALLS, fill_messages
from prefdata.records import SCHEMA_VERSION, FilteredPair
from prefdata.records.base import fill_columns
from prefdata.tables.layout import PROMPTS_PER_BUCKET, buckets_for

EXPORT = EXPORTS.parse({"kind": "trl"})
SPLITS = ("train", "test")
WORDS = 12
"""Of a sentence."""


def make_sentences() -> pl.Series:
    """Sentences of random words."""
    draw = np.random.default_rng(1)
    words = pl.Series([f"word{n}" for n in range(8_000)])
    chosen = pl.DataFrame({"word": words.gather(draw.integers(0, len(words), 30_000 * WORDS))})
    place = pl.int_range(pl.len()) // WORDS
    return chosen.group_by(place, maintain_order=True).agg(pl.col("word").str.join(" "))["word"]


def make_pairs(bucket: int, buckets: int, count: int, sentences: pl.Series) -> pl.DataFrame:
    """The pairs of a bucket, with their texts."""
    draw = np.random.default_rng(bucket + 2)

    def write(length: int) -> pl.Series:
        columns = {
            f"s{n}": sentences.gather(draw.integers(0, len(sentences), count))
            for n in range(length)
        }
        return pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator=" ")).to_series()

    heads = [f"{(bucket << 32) // buckets + n:08x}" for n in range(count)]
    reward = pl.Series(draw.normal(size=count))
    judgment = {
        "dimension": pl.lit("helpfulness"),
        "annotator": pl.lit(None, pl.String),
        "group": pl.lit(None, pl.String),
        "preference": pl.lit(0.75),
        "reward_chosen": pl.col("reward_chosen"),
        "reward_rejected": pl.col("reward_rejected"),
        "spread": pl.lit(None, pl.Float64),
    }
    rows = pl.DataFrame(
        {
            "pair_id": [f"{head}{'1' * 24}" for head in heads],
            "prompt_id": [f"{head}{'0' * 24}" for head in heads],
            "chosen_id": [f"{head}{'2' * 24}" for head in heads],
            "rejected_id": [f"{head}{'3' * 24}" for head in heads],
            "split": np.where(draw.random(count) < 0.1, "test", "train"),
            "text": write(4),
            "chosen": write(12),
            "rejected": write(12),
            "reward_chosen": reward + 1,
            "reward_rejected": reward,
        }
    )
    rows = rows.with_columns(
        margin=pl.col("reward_chosen") - pl.col("reward_rejected"),
        soft_label=pl.lit(0.75),
        agreement=pl.lit(1.0),
        same_form=pl.lit(True),
        strategy=pl.lit("best_worst"),
        source=pl.lit("made up"),
        chosen_policy=pl.lit("policy"),
        rejected_policy=pl.lit("policy"),
        judgments=pl.concat_list(
            *(pl.struct(pl.lit(name).alias("judge"), **judgment) for name in ("one", "other"))
        ),
    )
    turn = pl.struct(pl.lit("user").alias("role"), pl.col("text").alias("content"))
    messages = fill_messages(rows.select(messages=pl.concat_list(turn)).to_series())
    return fill_columns(rows, FilteredPair).with_columns(
        messages,
        *rows.select("source", "split", "chosen", "rejected"),
        pl.lit(None, pl.String).alias("tools"),
        *(pl.lit(None, pl.String).alias(f"{side}_thoughts") for side in ("chosen", "rejected")),
        *(pl.lit(None, CALLS).alias(f"{side}_tool_calls") for side in ("chosen", "rejected")),
    )


def change_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as the second version has them."""
    place = pl.int_range(pl.len()) % 20
    turned = place == 1
    sides = (("chosen", "rejected"), ("rejected", "chosen"))
    half = pl.when(place.is_in([2, 3])).then(0.5).otherwise(1.0)
    rewards = ("reward_chosen", "reward_rejected", "reward_margin")
    return rows.with_columns(
        *(pl.when(turned).then(there).otherwise(here).alias(here) for here, there in sides),
        *(pl.col(name) * half for name in rewards),
        pair_id=pl.when(turned).then(pl.col("pair_id").str.replace("1$", "4")).otherwise("pair_id"),
    ).filter(place != 0)


def write_version(dataset: str, count: int, sentences: pl.Series, second: bool) -> int:
    """Write a version; its number of pairs."""
    begin_dataset(dataset)
    buckets = buckets_for(count)
    shards: dict[str, int] = {}
    digests: dict[str, str] = {}
    for bucket in range(buckets):
        size = min(PROMPTS_PER_BUCKET, count * (bucket + 1) // buckets - count * bucket // buckets)
        pairs = make_pairs(bucket, buckets, size, sentences)
        rows = EXPORT.format_rows(ExportBucket(pairs)).rows
        rows = change_rows(rows) if second else rows
        for split in SPLITS:
            part = rows.filter(split=split).drop("split")
            shard = name_shard(EXPORT, split, bucket, buckets)
            path = storage.join(name_unfinished(dataset), shard)
            storage.write_bytes(path, encode_shard(EXPORT, EXPORT.record, part, path))
            shards[shard] = part.height
            digests[shard] = f"{digest_content(part):x}"
    total = sum(shards.values())
    stage = StageEntry(
        stage="filter",
        unit="pairs",
        rows_in=count,
        rows_out=total,
        dropped={"near_identical": count - total} if count > total else {},
        models={},
    )
    entry = ExportEntry(
        kind=EXPORT.kind,
        settings=EXPORT.config.model_dump(mode="json"),
        cannot_carry=EXPORT.cannot_carry,
        unit=EXPORT.unit,
        rows_in=total,
        rows_out=total,
        dropped={},
        structure=[],
        columns={
            name: field.description or "" for name, field in EXPORT.record.model_fields.items()
        },
        splits={
            split: sum(n for path, n in shards.items() if f"/{split}-" in path) for split in SPLITS
        },
        files=describe_shards(name_unfinished(dataset), shards, digests),
    )
    manifest = Manifest(
        name="benchmark",
        schema_version=SCHEMA_VERSION,
        content_version=compute_version([int(each, 16) for each in digests.values()]),
        prefdata_version="0",
        config_fingerprint="0" * 32,
        plugins={},
        models={},
        exports={EXPORT.name: entry},
        stages=[stage],
        labels=LabelsEntry(judges=["one", "other"], audit={}),
    )
    publish_version(dataset, manifest, "other", keep=2)
    return total


def main() -> None:
    """Write, run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fiftieth")
    parser.add_argument("--folder", type=Path, help="keep what is written here, and read it again")
    arguments = parser.parse_args()
    count = 20_000 if arguments.quick else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        dataset = str(folder / "dataset")
        if not Path(dataset).exists():
            for second in (True, False):
                write_version(dataset, count, make_sentences(), second)
            print(f"{dataset}: written", flush=True)
        verified = run("verify", dataset, "--json")
        compared = run("diff", dataset, f"{dataset}@parent", "--json")
        diff = {f"diff_{name}": figure for name, figure in compared.items()}
        report(benchmark="verify", pairs=count, **verified, **diff)


if __name__ == "__main__":
    main()
