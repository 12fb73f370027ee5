"""Export: data/filtered, data/prompts, data/responses -> data/dataset, versioned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata import __version__
from prefdata.accounting.stats import Stats, account, read_stats
from prefdata.audit.summary import summarize_judges
from prefdata.comparisons.sides import join_responses
from prefdata.config.params import Params
from prefdata.config.public import list_public_settings
from prefdata.dataset import manifest as folder
from prefdata.dataset.exports.base import Export
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.manifest import LabelsEntry, Manifest, PolicyEntry, StageEntry
from prefdata.dataset.versions import begin_dataset, name_unfinished, publish_version
from prefdata.files import storage
from prefdata.pipelines.stages.base import Context, Stage
from prefdata.pipelines.stages.writing import finish_dropped
from prefdata.records import SCHEMA_VERSION
from prefdata.records.dropped import no_dropped
from prefdata.records.message import STRUCTURE
from prefdata.reports.no_pairs import explain_no_pairs
from prefdata.tables import Table, begin, read_info, write_bucket
from prefdata.tables.chain import Chain, fingerprint_chain
from prefdata.tables.read import is_finished
from prefdata.tables.write import encode

if TYPE_CHECKING:
    import apache_beam as beam

SPLITS = ("train", "test")
GENERATE, JUDGE = "generate", "judge"
"""The stages whose settings the manifest shows."""


class ExportStage(Stage):
    """Writes one shard per bucket and split, then the manifest and the card, and publishes them as
    the newest version."""

    name = "export"
    summary = "write the versioned dataset"
    section = "export"
    unit = "pairs"
    parts = EXPORTS
    takes = "filtered"
    takes_stale = False

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
        self.check_rows_in(context, stats)
        finish_dropped(self, context, stats)
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
    file = write_bucket(context.dropped, bucket, context.buckets, dropped)
    digests = {f"{bucket}": f"{folder.digest_content(rows):x}"}
    counted = {"shards": shards, "digests": digests, "dropped_files": {bucket: file}}
    yield stats.model_copy(update={**counted, "structure": list(structure)})


def _join_texts(context: Context, bucket: int, pairs: pl.DataFrame) -> pl.DataFrame:
    columns = ["prompt_id", "messages", "tools", "split", "source"]
    prompts = context.read("prompts", bucket, columns)
    columns = ["response_id", "text", "thoughts", "tool_calls"]
    responses = context.read("responses", bucket, columns)
    joined = pairs.join(prompts, on="prompt_id", how="left", maintain_order="left")
    return join_responses(joined, responses)


def _make_manifest(context: Context, stats: Stats) -> Manifest:
    """The manifest, as the chain of the tables has it: params.yaml may say another thing today."""
    params, chain = context.params, context.chain
    unfinished = name_unfinished(context.catalog.dataset)
    used = {name: model for made in chain.values() for name, model in made.models.items()}
    policies = _list_policies(chain)
    audit = summarize_judges(context.table("judgments"), context.table("responses"), policies)
    return Manifest(
        name=params.export.name,
        schema_version=SCHEMA_VERSION,
        content_version=folder.compute_version([int(d, 16) for d in stats.digests.values()]),
        prefdata_version=__version__,
        config_fingerprint=fingerprint_chain(chain),
        plugins={n: v for made in chain.values() for n, v in sorted(made.plugins.items())},
        models={name: model.fingerprint or "" for name, model in sorted(used.items())},
        policies=policies,
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
        labels=LabelsEntry(judges=_list_judges(chain) or sorted(audit), audit=audit),
        chain=chain,
    )


def _describe_columns(export: Export, stats: Stats) -> dict[str, str]:
    """The columns of the rows, and what each holds."""
    record = export.structured if stats.structure and export.structured else export.record
    return {name: field.description or "" for name, field in record.model_fields.items()}


def _list_policies(chain: Chain) -> dict[str, PolicyEntry]:
    """The policies that drew samples; none where the chain does not know."""
    if GENERATE not in chain:
        return {}
    made = chain[GENERATE]
    policies: Any = made.settings["policies"]
    return {
        policy["name"]: PolicyEntry(
            model=made.models[policy["model"]].model,
            n=policy["n"],
            weight=policy["weight"],
            system=policy["system"],
            sampling={k: v for k, v in policy["sampling"].items() if v is not None},
        )
        for policy in policies
        if policy["n"] != 0 and policy["weight"] != 0
    }


def _list_judges(chain: Chain) -> list[str]:
    if JUDGE not in chain:
        return []
    judges: Any = chain[JUDGE].settings["judges"]
    return [judge["name"] for judge in judges]


def _counted_tables(context: Context) -> Iterator[tuple[str, Table]]:
    """For each stage, a table whose info holds the stage's counts."""
    from prefdata.pipelines.stages.registry import STAGES, TOP_UP

    for stage in STAGES:
        if stage.table is not None and (stage.name in context.chain or _is_unknown(context, stage)):
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
        models=info.asked,
    )


def _is_unknown(context: Context, stage: Stage) -> bool:
    """Whether params.yaml wants the stage, and its table is older than chains are."""
    assert stage.table is not None
    table = context.table(stage.table)
    wanted = stage.is_wanted(context.params) and is_finished(table)
    return wanted and read_info(table).chain is None
