"""Export: data/filtered, data/prompts, data/responses -> data/dataset, versioned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam
import polars as pl

from prefdata import __version__
from prefdata.comparisons.sides import with_texts
from prefdata.hashing.fingerprint import fingerprint
from prefdata.config.params import Params
from prefdata.dataset.card import render_card
from prefdata.dataset.exports import registry as lookup
from prefdata.dataset.manifest import (
    Manifest,
    ModelEntry,
    StageEntry,
    begin,
    content_digest,
    content_version,
    file_entry,
    finish,
    shard_name,
)
from prefdata.files import storage
from prefdata.judges import registry as judges
from prefdata.pipelines import layout
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.stages.base import (
    Run,
    buckets,
    engines,
    execute,
    info,
    keep_stats,
    read_stats,
    start,
    write_dropped,
)
from prefdata.pipelines.stats import Stats, account
from prefdata.records import Dropped
from prefdata.records.base import SCHEMA_VERSION, polars_schema
from prefdata.reports import audit
from prefdata.reports.costs import prices_of
from prefdata.tables import begin as begin_table
from prefdata.tables import finish as finish_table
from prefdata.tables import read_info
from prefdata.tables.layout import Asked
from prefdata.tables.write import encode

UNIT = "pairs"
SPLITS = ("train", "test")


class ExportBucket(beam.DoFn):
    """A bucket's pairs with their texts -> one shard a split."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, bucket: int) -> Iterator[Stats]:
        with carry():
            run = self.run
            pairs = _with_texts(run, bucket)
            export = lookup.build(run.params.export.format)
            rows = export.rows(pairs)
            dropped = pl.DataFrame(schema=polars_schema(Dropped))
            stats = account(f"export, bucket {bucket}", pairs.height, rows.height, dropped)
            folder = layout.dataset_folder(run.params)
            shards = {}
            for split in SPLITS:
                part = rows.filter(pairs["split"] == split)
                # A folder of empty shards only would make load_dataset fail on the whole split.
                if part.height:
                    name = shard_name(split, bucket, run.buckets)
                    path = storage.join(folder, name)
                    storage.write_bytes(path, encode(export.record, part, where=path))
                    shards[name] = part.height
            write_dropped(run, bucket, dropped)
            digests = {f"{bucket}": f"{content_digest(rows):x}"}
            yield stats.model_copy(
                update={"shards": shards, "digests": digests, "rows_written": rows.height}
            )


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """Run the stage."""
    lookup.build(params.export.format)
    run = start(params, "export", ["filtered", "prompts", "responses", "judgments"], [], quiet)
    folder = layout.dataset_folder(params)
    begin(folder)
    begin_table(layout.dropped(params, "export"))

    def build(pipeline: beam.Pipeline) -> None:
        stats = buckets(pipeline, run) | "Export" >> beam.ParDo(ExportBucket(run))
        keep_stats(run, stats)

    execute(build, arguments)
    stats = read_stats(params, "export")
    dropped = layout.dropped(params, "export")
    finish_table(dropped, info(run, dropped, stats, UNIT, 0))
    manifest = _manifest(params, folder, stats)
    finish(folder, manifest, render_card(manifest, params.export.license))
    return stats


def _with_texts(run: Run, bucket: int) -> pl.DataFrame:
    pairs = run.read("filtered", bucket)
    prompts = run.read("prompts", bucket, ["prompt_id", "messages", "split", "source"])
    texts = run.read("responses", bucket, ["response_id", "text"])
    joined = pairs.join(prompts, on="prompt_id", how="left", maintain_order="left")
    return with_texts(joined, texts)


def _model_entry(params: Params, call: str, asked: Asked) -> ModelEntry:
    prices = prices_of(params, call)
    cost = None if prices is None else prices.cost(asked.tokens_in, asked.tokens_out)
    currency = None if prices is None else prices.currency
    return ModelEntry(**asked.model_dump(), cost=cost, currency=currency)


def _manifest(params: Params, folder: str, stats: Stats) -> Manifest:
    stages = []
    for stage, table in layout.counting(params).items():
        # Stages that are run one by one, as DVC does, need no top-up between them.
        if stage == layout.TOP_UP and storage.read_bytes(table.info_path) is None:
            continue
        counted = read_info(table)
        stages.append(
            StageEntry(
                stage=stage,
                unit=counted.unit,
                rows_in=counted.rows_in,
                rows_out=counted.rows_out,
                dropped=counted.dropped,
                models={c: _model_entry(params, c, asked) for c, asked in counted.asked.items()},
            )
        )
    return Manifest(
        name=params.export.name,
        schema_version=SCHEMA_VERSION,
        content_version=content_version([int(d, 16) for d in stats.digests.values()]),
        prefdata_version=__version__,
        config_fingerprint=fingerprint(params.model_copy(update={"data": "", "memo": None})),
        models={name: engine.fingerprint for name, engine in engines(params).items()},
        splits={
            split: sum(n for name, n in stats.shards.items() if f"/{split}-" in name)
            for split in SPLITS
        },
        stages=stages,
        files=[file_entry(folder, name) for name in sorted(stats.shards)],
        labels={
            "judges": [judge.name for judge in judges.build(params.judge.judges)],
            "audit": audit.summary(params),
        },
    )
