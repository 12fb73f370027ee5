"""The graph of a stage's job, as it would be submitted, without submitting it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import environments

from prefdata.pipelines.beam.steps import keep_stats
from prefdata.reports.base import Block, Figures, Grid, Report

if TYPE_CHECKING:
    from prefdata.pipelines.stages.base import Context, Stage

_HEAD: Sequence[str] = ("stage", "steps", "transforms", "shuffles", "bytes")


class JobFigures(Figures):
    """The graph of one stage's job.

    Attributes:
        stage: The stage.
        steps: The names of its steps, in order.
        transforms: The number of Beam's transforms in them.
        shuffles: How often rows cross buckets or are spread over workers.
        environments: The images of its workers' containers, or Beam's names of other environments;
            empty: this process.
        bytes: The size of the graph, in Beam's portable format.
    """

    stage: str
    steps: list[str]
    transforms: int
    shuffles: int
    environments: list[str]
    bytes: int


class JobsReport(Report):
    """The jobs of a flow; `buckets` is the number that the graphs were built for."""

    dry_run: bool = True
    runner: str
    options: list[str]
    data: str
    memo: str | None
    buckets: int
    jobs: list[JobFigures]

    def blocks(self) -> list[Block]:
        """The jobs, then where they would run and with which options."""
        rows = []
        for job in self.jobs:
            numbers = (len(job.steps), job.transforms, job.shuffles, job.bytes)
            rows.append((job.stage, *(f"{number:,}" for number in numbers)))
        environments = sorted({name for job in self.jobs for name in job.environments})
        lines = [
            f"runner: {self.runner} {' '.join(self.options)}".rstrip(),
            f"workers run in: {', '.join(environments) or 'this process'}",
            f"data: {self.data}, memo: {self.memo or 'none'}, buckets: {self.buckets}",
            "dry run: nothing was submitted, and no model or table was looked at; "
            "--json names every step",
        ]
        return [Grid(_HEAD, rows, range(1, 5)), "\n".join(lines)]


def build_job(stage: Stage, context: Context, options: PipelineOptions) -> JobFigures:
    """Build the stage's graph for the runner of the options, and say what is in it.

    It needs neither the network nor the runner's packages. `context.buckets` must be known.
    """
    # The runner has no part in the graph but for the environment of its workers.
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    keep_stats(stage.build(pipeline, context), context)
    environment = _choose_environment(options)
    proto: Any = pipeline.to_runner_api(default_environment=environment)
    transforms = proto.components.transforms
    (root,) = proto.root_transform_ids
    places = proto.components.environments.values() if environment else ()
    shuffle = common_urns.primitives.GROUP_BY_KEY.urn
    return JobFigures(
        stage=stage.name,
        steps=[transforms[name].unique_name for name in transforms[root].subtransforms],
        transforms=sum(not each.subtransforms for each in transforms.values()),
        shuffles=sum(each.spec.urn == shuffle for each in transforms.values()),
        environments=sorted({_describe(place) for place in places}),
        bytes=len(proto.SerializeToString()),
    )


def _choose_environment(options: PipelineOptions) -> environments.Environment | None:
    """Where the workers of the runner find prefdata; None: in this process."""
    portable = options.view_as(PortableOptions)
    image = options.view_as(WorkerOptions).sdk_container_image
    if "dataflow" in (options.view_as(StandardOptions).runner or "").lower():
        image = image or environments.DockerEnvironment.default_docker_image()
        return environments.DockerEnvironment.from_container_image(image)
    if portable.environment_type:
        return environments.Environment.from_options(portable)
    return None


def _describe(environment: Any) -> str:
    """The image of a container, or the kind of another environment."""
    if environment.urn == common_urns.environments.DOCKER.urn:
        payload = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
        return str(payload.container_image)
    return str(environment.urn)
