"""`prefdata run`, one command for each stage, and top-up."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from prefdata.cli.ches import command as ches
from prefdata.cli.command import Force, Given, Run, add_command, import_beam
from prefdata.errors import ConfigError
from prefdata.reports.progress import open_progress
from prefdata.text.controls import escape_controls

if TYPE_CHECKING:
    from prefdata.config import Params

SUMMARIES = {
    "reward-head": "train the linear reward head over frozen embeddings",
    "ingest": "read, normalise and deduplicate prompts; split train and test",
    "generate": "sample on-policy responses to each prompt, from one policy or several",
    "judge": "judge every comparison of a prompt's responses by every judge",
    "consensus": "combine the judgments on each comparison into one label",
    "ches": "measure CHES of every ordered pair of a prompt's responses",
    "pair": "choose which labelled comparisons become pairs",
    "augment": "put rewards, judgments, rationales and other columns beside each pair",
    "filter": "drop pairs that teach the wrong thing, or nothing",
    "export": "write the versioned dataset",
}
"""The stages' names and summaries. It is a copy that a test compares with STAGES, because importing
the stages takes too long for `prefdata --help`."""

_RUN_EXAMPLES = """
prefdata run
prefdata run --params recipes/demo.yaml --set generate.n=8 --set data=/tmp/more
prefdata run --json | tail -n 1
prefdata run --direct_num_workers=4
prefdata run --dry-run --json
prefdata run --from consensus --set 'pair.strategy={kind: max_min}'
"""
_STAGE_EXAMPLES = {
    "reward-head": "prefdata reward-head --set reward_head.out=data/head",
    "ingest": "prefdata ingest --set ingest.sources.0.path=prompts.jsonl --set data=/tmp/new",
    "generate": """
prefdata generate --set generate.n=8 --set generate.temperature=0.7
prefdata generate --runner=DataflowRunner --project=P --region=R --temp_location=gs://B/tmp
""",
    "judge": "prefdata judge --set 'judge.judges.1={kind: implicit_reward}'",
    "consensus": "prefdata consensus --set consensus.min_confidence=0.6",
    "ches": ches.EXAMPLES,
    "pair": "prefdata pair --set 'pair.strategy={kind: all_above_margin, min_margin: 0.2}'",
    "augment": "prefdata augment --json | jq .stages.augment.out",
    "filter": """
prefdata filter --set 'filter.filters.3={kind: truncation}'
prefdata filter --dry-run --set filter.filters.0.max_quantile=0.7
""",
    "export": "prefdata export --set export.name=mine --set export.license=cc-by-4.0",
}
"""What is worth trying with each stage."""
_TOP_UP_EXAMPLES = """
prefdata top-up --set generate.accepted_per_prompt=1
prefdata top-up --set generate.target_pairs=10000 --json
"""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the app."""
    panel = "The flow"
    add_command(
        app, "run", run_all, "run all stages in order", _RUN_EXAMPLES, panel=panel, takes_beam=True
    )
    for name, summary in SUMMARIES.items():
        run: Run
        run, examples = run_one, f"prefdata {name}\n{_STAGE_EXAMPLES[name].strip()}"
        if name == "filter":
            run = run_filter
        elif name == "ches":
            run = ches.measure_ches
            summary += ", or of a preference dataset (--data)"
        add_command(app, name, run, summary, examples, panel="Its stages", takes_beam=True)
    add_command(
        app,
        "top-up",
        plan_more,
        "plan more samples for the prompts that are short of pairs",
        _TOP_UP_EXAMPLES,
        panel=panel,
        takes_beam=True,
    )


def run_all(
    given: Given,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Build the jobs for the runner that --runner names and show what would be "
            "submitted. It needs neither network nor credentials, and asks no model.",
        ),
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STAGE",
            help="Begin at this stage. The tables of the earlier ones are taken as they are, such "
            "as those of a record from the hub; their models and sources need not be here.",
        ),
    ] = None,
) -> None:
    """`prefdata run`."""
    params = given.load_params()
    import_beam()
    if dry_run:
        if start:
            raise ConfigError("--dry-run shows the jobs of all stages", "Leave --from out.")
        from prefdata.pipelines.jobs import build_jobs

        given.print_report(build_jobs(params, given.beam_arguments))
        return

    from prefdata.pipelines.run import run_flow

    with open_progress(given.quiet) as progress:
        run = run_flow(params, given.beam_arguments, progress, start=start)
    print_funnel(given, params, run.seconds)
    if not given.json:
        same = shlex.join(given.list_options())
        print(escape_controls(f"next: prefdata report {same}".rstrip()))


def run_filter(
    given: Given,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what each filter would drop, and write no table. Model calls are made and "
            "remembered.",
        ),
    ] = False,
    force: Force = False,
) -> None:
    """`prefdata filter`."""
    if not dry_run:
        run_one(given, force)
        return
    params = given.load_params()
    import_beam()
    from prefdata.pipelines.run import dry_run_filters
    from prefdata.reports.parts import report_dry_run

    with open_progress(given.quiet) as progress:
        stats = dry_run_filters(params, given.beam_arguments, progress, force)
    given.print_report(report_dry_run(params, stats))


def plan_more(given: Given, force: Force = False) -> None:
    """`prefdata top-up`."""
    params = given.load_params()
    import_beam()
    from prefdata.pipelines.run import run_top_up

    with open_progress(given.quiet) as progress:
        planned = run_top_up(params, given.beam_arguments, progress, force)
        progress.note(planned.describe())
    print_funnel(given, params, {})


def run_one(given: Given, force: Force = False) -> None:
    """`prefdata STAGE`."""
    params = given.load_params()
    import_beam()
    from prefdata.pipelines.run import run_stage

    with open_progress(given.quiet) as progress:
        run = run_stage(given.command, params, given.beam_arguments, progress, force)
    print_funnel(given, params, run.seconds)


def print_funnel(
    given: Given, params: Params, seconds: dict[str, float], thorough: bool = False
) -> None:
    """Print the figures of all stages; `seconds` are those of the stages of this run, and
    `thorough` looks for damage."""
    from prefdata.pipelines.stages.registry import STAGES
    from prefdata.reports.funnel import report_funnel
    from prefdata.tables.catalog import TABLES

    given.print_report(report_funnel(params, STAGES, TABLES, seconds, thorough=thorough))
