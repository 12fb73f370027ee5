"""`prefdata check`: the options, and the checks that they ask for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from prefdata.cli.command import Given, import_beam
from prefdata.cli.completion import complete_consumers
from prefdata.errors import ConfigError, Unsound
from prefdata.reports.progress import open_progress

EXAMPLES = """
prefdata check pairs.jsonl
prefdata check OWNER/NAME --split train --limit 10000
prefdata check data/dataset --for trl_dpo --for axolotl
prefdata check pairs.parquet --against benchmark.jsonl --fail-on warning
prefdata check pairs.jsonl --html check.html --badge check.svg
prefdata check pairs.jsonl --model Qwen/Qwen2.5-0.5B-Instruct
prefdata check pairs.jsonl --params params.yaml --judge pairwise --sample 200
"""

_DATASET = "The dataset"
_FINDINGS = "What is a finding"
_MODELS = "With models"
_OUTPUT = "Output"


def _option(text: str, panel: str, *names: str, metavar: str | None = None, **limits: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar, **limits)


def check_dataset(
    given: Given,
    dataset: Annotated[
        str,
        typer.Argument(
            help="A file, a folder of data files, a version (FOLDER or FOLDER@NAME) or an export's "
            "folder in it, or a hub id. For params.yaml see check-params."
        ),
    ],
    split: Annotated[str | None, _option("Look at this split alone.", _DATASET)] = None,
    subset: Annotated[
        str | None, _option("The configuration of a hub dataset or folder.", _DATASET)
    ] = None,
    revision: Annotated[str | None, _option("The revision of a hub dataset.", _DATASET)] = None,
    kind: Annotated[
        str | None,
        _option("The kind of source that reads it; default: by its columns.", _DATASET),
    ] = None,
    columns: Annotated[
        str | None,
        _option(
            "Columns with unusual names: prompt=…,chosen=…,rejected=…",
            _DATASET,
            metavar="NAME=COLUMN,…",
        ),
    ] = None,
    limit: Annotated[
        int | None, _option("Read at most this many rows of each split.", _DATASET, min=1)
    ] = None,
    consumers: Annotated[
        list[str] | None,
        _option(
            "A consumer that it is meant for, such as trl_dpo; may be given several times. What "
            "that one can't do with it is an error.",
            _FINDINGS,
            "--for",
            metavar="CONSUMER",
            autocompletion=complete_consumers,
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        _option(
            "A benchmark's file, whose texts no row should hold; may be given several times.",
            _FINDINGS,
            metavar="FILE",
        ),
    ] = None,
    max_similarity: Annotated[
        float,
        _option(
            "The least trigram similarity of near-duplicate prompts; as in the filter "
            "near_duplicates.",
            _FINDINGS,
            min=0.2,
            max=1,
        ),
    ] = 0.8,
    fail_on: Annotated[
        Literal["error", "warning", "note", "never"],
        _option("The least severity that makes the exit code 3.", _FINDINGS),
    ] = "error",
    model: Annotated[
        str | None,
        _option("Measure CHES with the model that is to be trained: a hub id or folder.", _MODELS),
    ] = None,
    engine: Annotated[str, _option("The engine that runs it.", _MODELS)] = "transformers",
    judge: Annotated[
        str | None,
        _option("Ask this judge of params.yaml about a sample of the pairs.", _MODELS),
    ] = None,
    sample: Annotated[
        int, _option("The pairs that the judge is asked about.", _MODELS, min=1)
    ] = 200,
    memo: Annotated[
        str, _option("The folder of finished calls of --model.", _MODELS)
    ] = "data/memo",
    html: Annotated[
        str | None, _option("Write the report as a page.", _OUTPUT, metavar="FILE")
    ] = None,
    badge: Annotated[
        str | None,
        _option("Write a badge (SVG), and show the line for a card.", _OUTPUT, metavar="FILE"),
    ] = None,
) -> None:
    """`prefdata check`."""
    from prefdata.checks.all import check_dataset as look
    from prefdata.checks.read import read_dataset
    from prefdata.cli.ches.command import parse_columns
    from prefdata.reports.dataset.check import report_checked

    if dataset.endswith((".yaml", ".yml")):
        raise ConfigError(
            f"{dataset}: it is no dataset", f"Check it by prefdata check-params --params {dataset}."
        )
    if "@" in dataset:
        from prefdata.dataset.find import find_version

        dataset = find_version(dataset).folder
    if badge and not badge.endswith(".svg"):
        raise ConfigError(f"--badge {badge}: it is an SVG", "Name a file that ends in .svg.")
    named: dict[str, Any] = {
        "kind": kind,
        "subset": subset,
        "revision": revision,
        "columns": parse_columns(columns),
        "limit": limit,
    }
    with open_progress(given.quiet) as progress:
        read = read_dataset(dataset, split=split, progress=progress, **named)
        progress.note("looks at rows and texts")
        outlooks, found = look(
            read, consumers=consumers or (), benchmarks=against or (), min_similarity=max_similarity
        )
        if model or judge:
            import_beam()
            from prefdata.cli.check.models import ask_judge, measure_displacement

            if model:
                measure_displacement(
                    read, found, model, engine, memo, named, progress, given.beam_arguments
                )
            if judge:
                params = given.load_params()
                ask_judge(read, found, params, judge, sample, named, progress, given.beam_arguments)
    report = report_checked(read, outlooks, found)
    if badge:
        from prefdata.reports.dataset.badge import write_badge

        report = report.model_copy(update={"badge": write_badge(report, badge)})
    if html:
        from prefdata.reports.dataset.check_page import write_check_page

        write_check_page(report, html)
    given.print_report(report)
    if report.fails_on(fail_on):
        raise Unsound(
            f"{dataset}: {report.summarize()}",
            "See what each finding says to do; --fail-on sets which of them count.",
        )
