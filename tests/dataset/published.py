"""A small dataset, published from frames as the stage export publishes one."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from prefdata.dataset.card import render_card
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.manifest import (
    LabelsEntry,
    Manifest,
    ModelEntry,
    StageEntry,
    begin_dataset,
    compute_version,
    describe_file,
    digest_content,
    finish_dataset,
    name_shard,
)
from prefdata.files import storage
from prefdata.records import SCHEMA_VERSION, FilteredPair
from prefdata.records.base import fill_columns
from prefdata.tables.write import encode

BUCKETS = 2


def make_pairs(count: int) -> pl.DataFrame:
    """Filtered pairs with their texts; every fifth is in the test split."""
    rows = [
        {
            "pair_id": f"{n:032x}",
            "prompt_id": f"{n * 2**26:08x}{n:024x}",
            "chosen_id": f"c{n}",
            "rejected_id": f"r{n}",
            "chosen_policy": "policy",
            "rejected_policy": "policy",
            "same_form": True,
            "strategy": "best_worst",
            "soft_label": 0.5 + (n + 1) / (2 * count + 2),
            "agreement": 1.0,
            "messages": [{"role": "user", "content": f"What is {n} good for?"}],
            "source": "tests",
            "split": "train" if n % 5 else "test",
            "chosen": f"It is good for {n} things.",
            "rejected": f"Nothing {n}.",
        }
        for n in range(count)
    ]
    texts = pl.DataFrame(rows).select("messages", "source", "split", "chosen", "rejected")
    filled = fill_columns(pl.DataFrame(rows), FilteredPair)
    return filled.with_columns(pl.col("judgments").fill_null([])).hstack(texts)


def publish(folder: Path, pairs: pl.DataFrame) -> Manifest:
    """The dataset of these pairs in the folder."""
    dataset, export = str(folder), EXPORTS.parse({"kind": "trl"})
    begin_dataset(dataset)
    shards, digests = [], []
    for bucket in range(BUCKETS):
        own = pairs.filter(pl.int_range(pl.len()) % BUCKETS == bucket)
        rows = export.format_rows(own)
        digests.append(digest_content(rows))
        for split in ("train", "test"):
            part = rows.filter(own["split"] == split)
            if part.height:
                shards.append(name_shard(split, bucket, BUCKETS))
                path = storage.join(dataset, shards[-1])
                storage.write_bytes(path, encode(export.record, part, where=path))
    stage = StageEntry(
        stage="pair",
        unit="comparisons",
        rows_in=pairs.height + 2,
        rows_out=pairs.height,
        dropped={"below_margin": 2},
        models={
            "policy": ModelEntry(requests=1, tokens_in=2, tokens_out=3, cost=None, currency=None)
        },
    )
    manifest = Manifest(
        plugins={},
        name="tests",
        schema_version=SCHEMA_VERSION,
        content_version=compute_version(digests),
        prefdata_version="0",
        config_fingerprint="f" * 32,
        models={"policy": "a" * 32},
        splits={split: pairs["split"].eq(split).sum() for split in ("train", "test")},
        stages=[stage],
        files=[describe_file(dataset, name) for name in sorted(shards)],
        labels=LabelsEntry(judges=["pairwise"], audit={"pairwise": {"comparisons": 3}}),
    )
    finish_dataset(dataset, manifest, render_card(manifest, "other"))
    return manifest
