"""`prefdata import`: a dataset as the table of prompts, and what of it was read."""

from __future__ import annotations

import os
import tempfile
from typing import Annotated, Any

import typer

from prefdata.cli.command import Given, add_command, import_beam
from prefdata.errors import ConfigError, TooManyFaulty
from prefdata.reports.progress import open_progress

_EXAMPLES = """
prefdata import trees.jsonl.gz
prefdata import nvidia/HelpSteer3 --subset preference --split train --out data
prefdata import battles.parquet --params relabel.yaml --json
prefdata import answers.jsonl --kind mapping --settings mapping.yaml --out data
prefdata import hub:org/name@sharp-moss-cove --out data --params params.yaml
"""
HUB = "hub:"
"""Before the id of a dataset whose record is brought, as `prefdata publish --record` made it."""


def add_commands(app: typer.Typer) -> None:
    """Add the command to the app."""
    add_command(
        app,
        "import",
        import_dataset,
        "read a public or own dataset with its labels, and say what is read of it",
        _EXAMPLES,
        panel="The flow",
        takes_params=False,
        takes_beam=True,
    )


def import_dataset(
    given: Given,
    dataset: Annotated[
        str,
        typer.Argument(
            help="A file, a folder of data files, or a hub id; hub:ID with its whole "
            "record, as `prefdata publish --record` made it."
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(help="The kind of source that reads it; default: by its columns."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write data/prompts and data/dropped of a flow here, of a record all tables; "
            "default: read and count.",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="The split of a folder or hub dataset.")] = None,
    subset: Annotated[str | None, typer.Option(help="The configuration of a hub dataset.")] = None,
    revision: Annotated[str | None, typer.Option(help="The revision of a hub dataset.")] = None,
    limit: Annotated[int | None, typer.Option(help="Read at most this many rows.")] = None,
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="More settings of the source, as YAML, such as the columns of a mapping.",
        ),
    ] = None,
    starter: Annotated[
        str | None,
        typer.Option(
            "--params",
            metavar="FILE",
            help="Write a params file that relabels the dataset: its labels beside a judge model; "
            "of a record, its own.",
        ),
    ] = None,
    max_faulty_fraction: Annotated[
        float, typer.Option(help="Exit with code 3 if a larger fraction of the rows is faulty.")
    ] = 0.01,
) -> None:
    """`prefdata import`."""
    if starter and os.path.exists(starter):
        raise ConfigError(f"--params {starter}: it exists", "Name another file, or remove it.")
    if dataset.startswith(HUB):
        others = {"--kind": kind, "--split": split, "--subset": subset, "--limit": limit}
        refused = [name for name, value in {**others, "--settings": settings}.items() if value]
        if refused:
            raise ConfigError(
                f"{dataset}: a record takes no {', '.join(refused)}",
                f"Leave it out; without {HUB} the dataset is read as rows.",
            )
        from prefdata.cli.imports.hub import import_record

        import_record(given, dataset.removeprefix(HUB), out, starter, revision)
        return
    import_beam()
    from prefdata.cli.imports.report import report_import, write_starter
    from prefdata.config.params import IngestParams
    from prefdata.config.presets import relabel_params
    from prefdata.pipelines.run import run_stage
    from prefdata.sources.detect import open_dataset_source

    named = {"split": split, "subset": subset, "revision": revision, "limit": limit}
    chosen: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if settings:
        from prefdata.config.load import read_settings

        chosen = {**read_settings(settings), **chosen}
    source = open_dataset_source(dataset, kind, chosen)
    with tempfile.TemporaryDirectory(prefix="prefdata-import-") as folder:
        params = relabel_params(source.config, source.annotation_kinds[0], data=out or folder)
        # As params.yaml would read it, so that a flow can go on from the table.
        ingest = IngestParams(sources=[source.config], max_faulty_fraction=1)
        params = params.model_copy(update={"ingest": ingest})
        with open_progress(given.quiet) as progress:
            run_stage("ingest", params, given.beam_arguments, progress)
        report = report_import(source, params.data, out)
    chosen.pop("kind", None)
    if starter:
        write_starter(starter, source, report, chosen, out or "data")
        report = report.model_copy(update={"params": starter})
    given.print_report(report)
    if report.faults > max_faulty_fraction * report.records:
        raise TooManyFaulty(
            f"{dataset}: {report.faults} of {report.records} records are faulty",
            "Look at what was dropped, mend the input or raise --max-faulty-fraction.",
        )
