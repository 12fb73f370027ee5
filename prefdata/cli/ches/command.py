"""`prefdata ches`: the stage, or with --data the CHES of any preference dataset."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from prefdata.ches.which import WHICH_MEASURE
from prefdata.cli.command import Force, Given, import_beam
from prefdata.errors import ConfigError
from prefdata.messages.completion import Completion
from prefdata.reports.progress import open_progress

EXAMPLES = """
prefdata ches --model demo/policy --data demo/data/preferences.jsonl.gz
prefdata ches --model Qwen/Qwen2.5-0.5B-Instruct --data OWNER/NAME --split train --limit 2000
prefdata ches --model demo/policy --data pairs.parquet --max-quantile 0.9 --out filtered
prefdata ches --model demo/policy --data pairs.jsonl --columns prompt=q,chosen=good,rejected=bad
"""

_DATASET = "Of a preference dataset"
_FILTER = "The pairs to keep, as in the filter ches"
_MODEL = "The model"


def _option(text: str, panel: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)


def measure_ches(
    given: Given,
    data: Annotated[
        str | None,
        _option("Measure its pairs, without params.yaml: a file, a folder or a hub id.", _DATASET),
    ] = None,
    split: Annotated[str | None, _option("The split of a hub dataset or folder.", _DATASET)] = None,
    subset: Annotated[str | None, _option("The configuration of a hub dataset.", _DATASET)] = None,
    revision: Annotated[str | None, _option("The revision of a hub dataset.", _DATASET)] = None,
    columns: Annotated[
        str | None,
        _option(
            "Columns with unusual names: prompt=…,chosen=…,rejected=…",
            _DATASET,
            metavar="NAME=COLUMN,…",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        _option("The kind of source that reads it; default: by its columns.", _DATASET),
    ] = None,
    limit: Annotated[int | None, _option("Read at most this many rows.", _DATASET)] = None,
    out: Annotated[
        str | None,
        _option(
            "The folder for scores.parquet (one row per row of the dataset), report.json, the "
            "flow's tables and, with a limit, the filtered copy in the dataset's own form.",
            _DATASET,
        ),
    ] = None,
    add_columns: Annotated[
        bool, _option("Add the measures to the filtered copy.", _DATASET, "--add-columns")
    ] = False,
    examples: Annotated[int, _option("The number of riskiest pairs to show.", _DATASET)] = 5,
    memo: Annotated[
        str,
        _option("The folder of finished calls; another limit makes no model call.", _DATASET),
    ] = "data/memo",
    max_faulty_fraction: Annotated[
        float,
        _option("Exit with code 3 if a larger fraction of the rows is faulty.", _DATASET),
    ] = 0.01,
    completion: Annotated[Completion, _option("What of the responses counts.", _MODEL)] = "all",
    measure: Annotated[
        Literal["ches", "ches_normalized"],
        _option(f"The measure for limits and rankings. {WHICH_MEASURE}", _FILTER),
    ] = "ches_normalized",
    max_quantile: Annotated[
        float | None, _option("Keep this share of the pairs, the lowest.", _FILTER)
    ] = None,
    max_value: Annotated[float | None, _option("Keep the pairs up to this value.", _FILTER)] = None,
    best_of_prompt: Annotated[
        int | None, _option("Keep this many pairs of each prompt, the lowest.", _FILTER)
    ] = None,
    model: Annotated[
        str | None, _option("The model that is to be trained: a hub id or a folder.", _MODEL)
    ] = None,
    engine: Annotated[str, _option("The engine that runs it.", _MODEL)] = "transformers",
    model_revision: Annotated[str | None, _option("Its revision on the hub.", _MODEL)] = None,
    dtype: Annotated[str, _option("auto, float32, bfloat16 or float16.", _MODEL)] = "auto",
    device: Annotated[str, _option("auto, cpu, cuda, cuda:1, mps …", _MODEL)] = "auto",
    max_batch_tokens: Annotated[int, _option("The most tokens in a forward pass.", _MODEL)] = 8192,
    force: Force = False,
) -> None:
    """`prefdata ches`."""
    if data is None:
        if model or out:
            raise ConfigError("--model and --out are for --data", "Name a dataset with --data.")
        from prefdata.cli.stages import run_one

        run_one(given, force)
        return
    if model is None:
        raise ConfigError("--data needs --model", "Name the model that is to be trained.")
    import_beam()
    from prefdata.cli.ches.dataset import check_faults, run_ches

    with open_progress(given.quiet) as progress:
        report = run_ches(
            data,
            model,
            split=split,
            subset=subset,
            revision=revision,
            columns=parse_columns(columns),
            kind=kind,
            limit=limit,
            engine=engine,
            model_revision=model_revision,
            dtype=dtype,
            device=device,
            max_batch_tokens=max_batch_tokens,
            completion=completion,
            measure=measure,
            max_quantile=max_quantile,
            max_value=max_value,
            best_of_prompt=best_of_prompt,
            out=out,
            add_columns=add_columns,
            memo=memo,
            examples=examples,
            progress=progress,
            beam_arguments=given.beam_arguments,
        )
    given.print_report(report)
    check_faults(report, max_faulty_fraction)


def parse_columns(given: str | None) -> dict[str, str]:
    """Parse `prompt=question,chosen=good` into a mapping; the names on the left are fixed."""
    columns = {}
    for part in given.split(",") if given else []:
        name, sign, column = part.partition("=")
        if not sign or name not in ("prompt", "chosen", "rejected") or not column:
            raise ConfigError(
                f"--columns {given}: {part!r} is not NAME=COLUMN",
                "Name columns as in prompt=question,chosen=good,rejected=bad.",
            )
        columns[name] = column
    return columns
