"""The jobs of a run, built for a runner and submitted to none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from prefdata.config.params import Params
from prefdata.pipelines.beam.execute import check_runner
from prefdata.pipelines.beam.graphs import JobsReport, build_job
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.stages.base import Context
from prefdata.pipelines.stages.ingest import check_bucket_count
from prefdata.pipelines.stages.registry import STAGES

GRAPH_BUCKETS = 16
"""The number of buckets of a graph that is only shown, where params.yaml says auto."""


def build_jobs(params: Params, beam_arguments: Sequence[str] = ()) -> JobsReport:
    """Build the jobs of all stages for the runner that the options name, and submit none.

    Neither models, sources nor tables are looked at, so it needs neither network nor credentials.

    Raises:
        ConfigError: An option that the runner needs is missing, or wrong.
    """
    options = check_runner(params, beam_arguments, submit=False)
    check_bucket_count(params)
    buckets = GRAPH_BUCKETS if params.buckets == "auto" else params.buckets
    with open_runtime(params) as run:
        context = Context(params, "", run, buckets, tuple(beam_arguments))
        jobs = [
            build_job(stage, replace(context, stage=stage.name), options)
            for stage in STAGES
            if stage.is_wanted(params)
        ]
    given = [option for option in beam_arguments if not option.startswith("--runner")]
    return JobsReport(
        runner=str(options.get_all_options()["runner"]).rpartition(".")[2],
        options=given,
        data=params.data,
        memo=params.memo,
        buckets=buckets,
        jobs=jobs,
    )
