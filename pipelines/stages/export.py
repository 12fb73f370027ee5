"""Export: data/filtered, data/prompts, data/responses -> data/dataset, versioned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from prefdata import __version__
from prefdata.accounting.stats import Stats, account, read_stats
from prefdata.audit.summary import summarize_judges
from prefdata.comparisons.sides import join_responses
from prefdata.config.generate import Policy
from prefdata.config.params import Params
from prefdata.config.plugins import fingerprint_params, list_plugins
from prefdata.config.public import list_public_settings
from prefdata.dataset import manifest as folder
from prefdata.dataset.exports.base import Export
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.manifest import LabelsEntry, Manifest, ModelEntry, PolicyEntry, StageEntry
from prefdata.dataset.versions import begin_dataset, name_unfinished, publish_version
from prefdata.files import storage
from prefdata.pipelines.stages.base import Context, Stage, finish_table
from prefdata.pipelines.stages.judge import name_judges
from prefdata.records import SCHEMA_VERSION
from prefdata.records.dropped import no_dropped
from prefdata.records.message import STRUCTURE
from prefdata.reports.no_pairs import explain_no_pairs
from prefdata.tables import Table, begin, read_info, write_bucket
from prefdata.tables.layout import Asked
from prefdata.tables.read import is_finished
from prefdata.tables.write import encode

if TYPE_CHECKING:
    import apache_beam as beam

SPLITS = ("train", "test")


class ExportStage(Stage):
    """Writes one shard per bucket and split, then the manifest and the card, and publishes them as
    the newest version."""

    name = "export"
    summary = "write the versioned dataset"
    section = "export"
    unit = "pairs"

    def reads(self, params: Params) -> list[str]:
        return ["filtered", "prompts", "responses", "judgments"]

    def check(self, context: Context) -> None:
        make_export(context)

    def begin(self, context: Context) -> None:
        _check_pairs(context)
        begin_dataset(context.catalog.dataset)
        begin(context.dropped)

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        from prefdata.pipelines.beam.steps import apply_step, gather, spread_buckets

        buckets = spread_buckets(pipeline, context)
        if make_export(context).structured is None:
            return apply_step(buckets, "Export", context, _write_shards)
        found = apply_step(buckets, "Find structure", context, _find_structure)
        # All shards have one schema, so a bucket can't decide by itself.
        structure = gather(found, "Gather structure", context, _merge_structure)
        return apply_step(buckets, "Export", context, _write_shards, structure=structure)

    def finish(self, context: Context, stats: Stats) -> None:
        finish_table(self, context, context.dropped, stats, 0)
        manifest = _make_manifest(context, stats)
        settings = context.params.export
        publish_version(context.catalog.dataset, manifest, settings.license, settings.keep_versions)


def make_export(context: Context) -> Export:
    """The export of params.yaml."""
    return context.runtime.part(EXPORTS, context.params.export.format, "export.format")


def _check_pairs(context: Context) -> None:
    """Raise NoPairs where there is nothing to export. An earlier dataset stays as it is."""
    from prefdata.pipelines.stages.registry import STAGES

    if read_info(context.table("filtered")).rows:
        return
    tables = {stage.name: context.table(stage.table) for stage in STAGES if stage.table}
    dropped = {name: context.catalog.dropped(name) for name in tables}
    filtered = read_stats(context.catalog, "filter") or Stats()
    raise explain_no_pairs(context.params, tables, dropped, filtered)


def _find_structure(context: Context, bucket: int) -> Iterator[list[str]]:
    if not _has_structure(context, bucket):
        return
    pairs = context.read("filtered", bucket, ["prompt_id", "chosen_id", "rejected_id"])
    if pairs.height:
        yield make_export(context).list_structure(_join_texts(context, bucket, pairs))


def _has_structure(context: Context, bucket: int) -> bool:
    """Whether any prompt or response of the bucket has tools, thoughts or calls. Where none has, as
    in most datasets, the pairs' texts are read only once, to be written."""
    responses = context.read("responses", bucket, ["thoughts", "tool_calls"])
    prompts = context.read("prompts", bucket, ["messages", "tools"])
    turns = prompts["messages"].explode(empty_as_null=False).struct
    optional = [*responses, prompts["tools"], *(turns.field(name) for name in STRUCTURE)]
    return any(each.null_count() < len(each) for each in optional) or bool(
        (turns.field("role") == "tool").any()
    )


def _merge_structure(_: Context, found: Iterable[list[str]]) -> list[str]:
    return sorted({name for names in found for name in names})


def _write_shards(context: Context, bucket: int, structure: Sequence[str] = ()) -> Iterator[Stats]:
    pairs = _join_texts(context, bucket, context.read("filtered", bucket))
    export = make_export(context)
    if structure and export.structured:
        record, rows = export.structured, export.format_structured(pairs)
    else:
        record, rows = export.record, export.format_rows(pairs)
    dropped = no_dropped()
    stats = account(f"export, bucket {bucket}", pairs.height, rows.height, dropped)
    shards = {}
    for split in SPLITS:
        part = rows.filter(pairs["split"] == split)
        # load_dataset fails on a split that has empty shards only.
        if part.height:
            name = folder.name_shard(split, bucket, context.buckets)
            path = storage.join(name_unfinished(context.catalog.dataset), name)
            storage.write_bytes(path, encode(record, part, where=path))
            shards[name] = part.height
    write_bucket(context.dropped, bucket, context.buckets, dropped)
    digests = {f"{bucket}": f"{folder.digest_content(rows):x}"}
    counted = {"shards": shards, "digests": digests, "rows_written": rows.height}
    yield stats.model_copy(update={**counted, "structure": list(structure)})


def _join_texts(context: Context, bucket: int, pairs: pl.DataFrame) -> pl.DataFrame:
    columns = ["prompt_id", "messages", "tools", "split", "source"]
    prompts = context.read("prompts", bucket, columns)
    columns = ["response_id", "text", "thoughts", "tool_calls"]
    responses = context.read("responses", bucket, columns)
    joined = pairs.join(prompts, on="prompt_id", how="left", maintain_order="left")
    return join_responses(joined, responses)


def _make_manifest(context: Context, stats: Stats) -> Manifest:
    params, unfinished = context.params, name_unfinished(context.catalog.dataset)
    engines = context.runtime.engines
    return Manifest(
        name=params.export.name,
        schema_version=SCHEMA_VERSION,
        content_version=folder.compute_version([int(d, 16) for d in stats.digests.values()]),
        prefdata_version=__version__,
        config_fingerprint=fingerprint_params(params),
        plugins=list_plugins(params),
        models={name: engine.fingerprint for name, engine in engines.items()},
        policies={
            policy.name: _policy_entry(params, policy)
            for policy in params.generate.list_policies()
            if policy.draws
        },
        structure=stats.structure,
        settings=list_public_settings(params),
        languages=params.list_languages(),
        columns=_describe_columns(make_export(context), stats),
        splits={
            split: sum(n for name, n in stats.shards.items() if f"/{split}-" in name)
            for split in SPLITS
        },
        stages=[_stage_entry(context, name, table) for name, table in _counted_tables(context)],
        files=[folder.describe_file(unfinished, name) for name in sorted(stats.shards)],
        labels=LabelsEntry(
            judges=name_judges(params),
            audit=summarize_judges(
                context.table("judgments"),
                context.table("responses"),
                [policy.name for policy in params.generate.list_policies()],
            ),
        ),
    )


def _describe_columns(export: Export, stats: Stats) -> dict[str, str]:
    """The columns of the rows, and what each holds."""
    record = export.structured if stats.structure and export.structured else export.record
    return {name: field.description or "" for name, field in record.model_fields.items()}


def _policy_entry(params: Params, policy: Policy) -> PolicyEntry:
    return PolicyEntry(
        model=params.models[policy.model].model,
        n=policy.n,
        weight=policy.weight,
        system=policy.system,
        sampling=policy.sampling.model_dump(mode="json", exclude_none=True),
    )


def _counted_tables(context: Context) -> Iterator[tuple[str, Table]]:
    """For each stage, a table whose info holds the stage's counts."""
    from prefdata.pipelines.stages.registry import STAGES, TOP_UP

    for stage in STAGES:
        if stage.is_wanted(context.params) and stage.table is not None:
            yield stage.name, context.table(stage.table)
    # Stages that are run one by one, as DVC does, need no top-up between them.
    if context.params.generate.wants_pairs() and is_finished(context.catalog.top_up):
        yield TOP_UP.name, context.catalog.top_up
    yield context.stage, context.dropped


def _stage_entry(context: Context, stage: str, table: Table) -> StageEntry:
    info = read_info(table)
    return StageEntry(
        stage=stage,
        unit=info.unit,
        rows_in=info.rows_in,
        rows_out=info.rows_out,
        dropped=info.dropped,
        models={
            call: _model_entry(context.params, call, asked) for call, asked in info.asked.items()
        },
    )


def _model_entry(params: Params, call: str, asked: Asked) -> ModelEntry:
    model = params.models.get(call.partition(" ")[2])
    prices = model.prices if model else None
    cost = None if prices is None else prices.cost(asked.tokens_in, asked.tokens_out)
    currency = None if prices is None else prices.currency
    return ModelEntry(**asked.model_dump(), cost=cost, currency=currency)
