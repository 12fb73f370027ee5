"""Generate: data/prompts -> data/responses. On-policy samples of each prompt, besides the existing
responses that came with it, and what revisions write from them.

With generate.reuse a policy keeps responses of an earlier round that its model would still give,
and draws those that are missing.

Several policies draw one after the other: those of one model together, each model over all buckets
before the next one is loaded. Then revisions do the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
from pydantic import JsonValue

from prefdata.accounting.stats import Stats, add_reused, add_usage
from prefdata.config.generate import GenerateParams, find_equals
from prefdata.config.params import Params
from prefdata.engines.base import LoglikelihoodSettings, Requirement
from prefdata.errors import ConfigError
from prefdata.parts.inputs import describe_settings
from prefdata.parts.policy_names import check_policies
from prefdata.pipelines.beam.spill import Spilled, read_spilled, spill
from prefdata.pipelines.responses.draw import PLAN
from prefdata.pipelines.responses.reuse import (
    EARLIER,
    check_earlier,
    describe_earlier,
    list_earlier,
    locate_earlier,
)
from prefdata.pipelines.responses.rounds import WHERE, list_rounds, make_responses
from prefdata.pipelines.stages.base import BucketStage, Context, Outcome
from prefdata.pipelines.stages.writing import write_outcome
from prefdata.records import Response
from prefdata.records.base import fill_columns
from prefdata.revisions.base import Revision
from prefdata.revisions.registry import REVISIONS
from prefdata.sources.registry import SOURCES
from prefdata.tables import TableInfo, read_info
from prefdata.tables.chain import Made
from prefdata.tables.read import is_finished

if TYPE_CHECKING:
    import apache_beam as beam


@dataclass(frozen=True)
class Drawn:
    """A bucket for which some models are done: their responses are in its file.

    The table is marked whole after the last model, never between two.
    """

    bucket: int
    stats: Stats
    dropped: Spilled
    """The dropped records."""


class GenerateStage(BucketStage):
    """Asks the policies for samples, and has them revised."""

    name = "generate"
    summary = "sample on-policy responses to each prompt, from one policy or several"
    section = "generate"
    parts = REVISIONS
    table = "responses"
    unit = "responses"
    bucketed_apart = frozenset({EARLIER})

    def reads(self, params: Params) -> list[str]:
        return ["prompts"]

    def settings(self, params: Params) -> dict[str, JsonValue]:
        policies = [policy.describe() for policy in params.generate.list_policies()]
        made: dict[str, JsonValue] = {
            "policies": list(policies),
            "samples": params.generate.count_samples(),
        }
        if params.generate.revisions:
            made["revisions"] = [
                {**describe_settings(revision.config), "name": revision.name}
                for revision in build_revisions(params)
            ]
        return made | describe_earlier(params)

    def describe(self, params: Params, fingerprints: Mapping[str, str | None]) -> Made:
        made = super().describe(params, fingerprints)
        return made.model_copy(update={"inputs": list_earlier(params)})

    def requirements(self, params: Params) -> list[Requirement]:
        drawing = [
            Requirement.of(policy.model, "generate", policy.sampling)
            for policy in params.generate.list_policies()
            if policy.draws
        ]
        if params.generate.reuse is not None:
            settings = LoglikelihoodSettings()
            models = {need.model for need in drawing}
            drawing += [Requirement.of(m, "loglikelihood", settings) for m in sorted(models)]
        return [
            *drawing,
            *(need for each in build_revisions(params) for need in each.requirements()),
        ]

    def check(self, context: Context) -> None:
        params = context.params
        policies = params.generate.list_policies()
        if params.generate.count_samples() == 0 and not has_existing(params):
            raise ConfigError(
                "generate.n: 0 draws no samples, and no source brings responses",
                "Set n above 0, or `annotations` of a source in ingest.sources.",
            )
        if len(policies) > 1:
            engines = context.runtime.engines
            equal = find_equals(policies, {p.model: engines[p.model].fingerprint for p in policies})
            if equal:
                raise ConfigError(
                    f"generate.policies: {equal[0]!r} and {equal[1]!r} are one model, under two "
                    "names, with the same settings, so they would give the same responses",
                    "Set another seed, or leave one of them out.",
                )
        self._check_revisions(context)
        check_earlier(params)

    def _check_revisions(self, context: Context) -> None:
        drawing, others_come = name_drawing(context.params), has_existing(context.params)
        revisions = build_revisions(context.params)
        names = [revision.name for revision in revisions]
        made: dict[str, str] = {}
        for revision in revisions:
            context.runtime.part(REVISIONS, revision.config, revision.where)
            check_policies(revision, drawing, others_come)
            nested = [name for name in revision.policies() if name in names]
            if nested:
                raise ConfigError(
                    f"{revision.where}.policies: {nested[0]!r} is a revision, and revisions are "
                    "not revised",
                    "Name policies, or authors of existing responses.",
                )
            asked = revision.config.model_dump(mode="json", include={*revision.config.asks_again})
            if len(revisions) > 1:
                asked["model"] = context.runtime.engines[revision.config.model].fingerprint
            other = made.setdefault(f"{revision.kind} {sorted(asked.items())}", revision.name)
            if other != revision.name:
                raise ConfigError(
                    f"generate.revisions: {other!r} and {revision.name!r} have the same model and "
                    "the same settings, so they would give the same responses",
                    "Set another seed, or leave one of them out.",
                )

    def open_inputs(self, context: Context) -> dict[str, TableInfo]:
        inputs, plan = super().open_inputs(context), context.catalog.top_up
        if context.params.generate.wants_pairs() and is_finished(plan):
            inputs[PLAN] = read_info(plan)
        earlier = locate_earlier(context.params)
        if earlier is not None:
            inputs[EARLIER] = read_info(earlier)
        return inputs

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        from prefdata.pipelines.beam.steps import apply_step, gather, spread_buckets

        rounds = len(list_rounds(context.params.generate))
        if rounds == 1:
            return super().build(pipeline, context)
        drawn = apply_step(spread_buckets(pipeline, context), "Model 0", context, self._begin)
        for number in range(1, rounds):
            before = gather(drawn, f"Before model {number}", context, _count_buckets)
            go_on = partial(_go_on, number=number)
            drawn = apply_step(drawn, f"Model {number}", context, go_on, before=before)
        return apply_step(drawn, "Counts", context, _take_stats, brief=True)

    def work(self, context: Context, bucket: int) -> Outcome:
        """The existing responses, and those of the first round."""
        prompts = _read_prompts(context, bucket)
        existing = take_existing(prompts)
        made = make_responses(context, bucket, prompts, existing, 0)
        counted = _count_policies(context.params.generate, made.rows)
        return replace(made, rows_in=existing.height + made.rows_in, policies=counted)

    def ask_again(self, context: Context, bucket: int) -> None:
        """Of responses that revise others, those that they were made from are the table's."""
        config = context.params.generate
        prompts, written = _read_prompts(context, bucket), context.read("responses", bucket)
        later = pl.lit(False)
        for number, own in reversed(list(enumerate(list_rounds(config)))):
            later = later | own.select_own(config)
            before = written.filter(~later.fill_null(False))
            make_responses(context, bucket, prompts, before, number)

    def _begin(self, context: Context, bucket: int) -> Iterator[Drawn]:
        yield _write(context, bucket, self.work(context, bucket))


def has_existing(params: Params) -> bool:
    """Whether a source brings responses."""
    sources = SOURCES.build_all(params.ingest.sources, "ingest.sources")
    return any(source.annotation_kinds for source in sources)


def name_policies(params: Params) -> tuple[list[str], bool]:
    """(the names of the policies that draw samples and of the revisions, whether authors of
    existing responses are policies besides)."""
    revisions = [revision.name for revision in build_revisions(params)]
    return [*name_drawing(params), *revisions], has_existing(params)


def name_drawing(params: Params) -> list[str]:
    """The names of the policies that draw samples."""
    return [policy.name for policy in params.generate.list_policies() if policy.draws]


def build_revisions(params: Params) -> list[Revision]:
    """The revisions of params.yaml."""
    return REVISIONS.build_all(params.generate.revisions, WHERE)


def take_existing(prompts: pl.DataFrame) -> pl.DataFrame:
    """`Response` rows of the responses that came with the prompts."""
    existing = prompts.select("prompt_id", "source", "responses").drop_nulls("responses")
    rows = existing.explode("responses", empty_as_null=False).unnest("responses")
    author = pl.coalesce("model", "source")
    named = rows.with_columns(policy=author, model=author, finish_reason=pl.lit("stop"))
    return fill_columns(named, Response)


def _go_on(context: Context, drawn: Drawn, before: int, number: int) -> Iterator[Drawn]:
    """Make the responses of round `number`. `before` is there to wait for: until every bucket has
    those of the rounds before it."""
    config = context.params.generate
    written = context.read("responses", drawn.bucket)
    # A runner may have been here before, so what this round has written is left out.
    others = written.filter(~list_rounds(config)[number].select_own(config))
    prompts = _read_prompts(context, drawn.bucket)
    more = make_responses(context, drawn.bucket, prompts, others, number)
    whole = replace(
        more,
        rows_in=drawn.stats.rows_in + more.rows_in,
        dropped=pl.concat([read_spilled(drawn.dropped), more.dropped]),
        usage=add_usage(drawn.stats.usage, more.usage or {}),
        policies=_count_policies(config, more.rows),
        reused=add_reused(drawn.stats.reused, more.reused or {}),
    )
    yield _write(context, drawn.bucket, whole)


def _write(context: Context, bucket: int, outcome: Outcome) -> Drawn:
    stats = write_outcome(context, context.table("responses"), bucket, outcome)
    return Drawn(bucket, stats, spill(context, outcome.dropped))


def _count_policies(config: GenerateParams, rows: pl.DataFrame) -> dict[str, int]:
    """The responses of each policy and revision; none where there is only one."""
    if config.policies is None and not config.revisions:
        return {}
    samples = rows.filter(pl.any_horizontal(pl.col("sample_index", "revised_from").is_not_null()))
    return dict(samples.group_by("policy").len().sort("policy").iter_rows())


def _read_prompts(context: Context, bucket: int) -> pl.DataFrame:
    columns = ["prompt_id", "messages", "tools", "source", "responses"]
    return context.read("prompts", bucket, columns)


def _count_buckets(context: Context, drawn: list[Drawn]) -> int:
    return len(drawn)


def _take_stats(context: Context, drawn: Drawn) -> Iterator[Stats]:
    yield drawn.stats
