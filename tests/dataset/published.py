"""A small dataset, published from frames as the stage export publishes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.manifest import (
    LabelsEntry,
    Manifest,
    StageEntry,
    compute_version,
    describe_file,
    digest_content,
    name_shard,
)
from prefdata.dataset.pointer import name_folder
from prefdata.dataset.versions import begin_dataset, name_unfinished, publish_version
from prefdata.files import storage
from prefdata.messages.columns import CALLS, fill_messages
from prefdata.records import SCHEMA_VERSION, FilteredPair
from prefdata.records.base import fill_columns
from prefdata.tables.layout import Asked
from prefdata.tables.write import encode

BUCKETS = 2
_STRUCTURE = {
    "tools": pl.String(),
    **{
        f"{side}_{name}": dtype
        for side in ("chosen", "rejected")
        for name, dtype in (("thoughts", pl.String()), ("tool_calls", CALLS))
    },
}


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
    return fill_pairs(pl.DataFrame(rows))


def fill_pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as pairs with their texts; columns that they lack are null."""
    texts = rows.select("source", "split", "chosen", "rejected").with_columns(
        fill_messages(rows["messages"]),
        *(
            rows[name].cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in _STRUCTURE.items()
        ),
    )
    filled = fill_columns(rows, FilteredPair)
    return filled.with_columns(pl.col("judgments").fill_null([])).hstack(texts)


def publish(
    folder: Path, pairs: pl.DataFrame, *, keep: int = 3, name: str = "tests", **settings: Any
) -> Path:
    """Publish the pairs as the newest version of the dataset in the folder, in TRL's format with
    these settings; the version's own folder."""
    dataset, export = str(folder), EXPORTS.parse({"kind": "trl", **settings})
    structure = export.list_structure(pairs)
    structured = bool(structure and export.structured)
    record = export.structured if structured else export.record
    begin_dataset(dataset)
    shards, digests = [], []
    for bucket in range(BUCKETS):
        own = pairs.filter(pl.int_range(pl.len()) % BUCKETS == bucket)
        rows = export.format_structured(own) if structured else export.format_rows(own)
        digests.append(digest_content(rows))
        for split in ("train", "test"):
            part = rows.filter(own["split"] == split)
            if part.height:
                shards.append(name_shard(split, bucket, BUCKETS))
                path = storage.join(name_unfinished(dataset), shards[-1])
                storage.write_bytes(path, encode(record, part, where=path))
    stage = StageEntry(
        stage="pair",
        unit="comparisons",
        rows_in=pairs.height + 2,
        rows_out=pairs.height,
        dropped={"below_margin": 2},
        models={"policy": Asked(requests=1, tokens_in=2, tokens_out=3, cost=None, currency=None)},
    )
    manifest = Manifest(
        plugins={},
        name=name,
        schema_version=SCHEMA_VERSION,
        content_version=compute_version(digests),
        prefdata_version="0",
        config_fingerprint="f" * 32,
        models={"policy": "a" * 32},
        structure=structure,
        columns={name: field.description or "" for name, field in record.model_fields.items()},
        splits={split: pairs["split"].eq(split).sum() for split in ("train", "test")},
        stages=[stage],
        files=[describe_file(name_unfinished(dataset), shard) for shard in sorted(shards)],
        labels=LabelsEntry(judges=["pairwise"], audit={"pairwise": {"comparisons": 3}}),
    )
    return Path(name_folder(dataset, publish_version(dataset, manifest, "other", keep)))
