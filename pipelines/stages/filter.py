"""Filter: data/augmented -> data/filtered. Each filter gets the pairs that earlier ones kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import JsonValue

from prefdata.accounting.stats import Stats, account
from prefdata.config.params import Params
from prefdata.engines.base import Requirement
from prefdata.filters.base import Filter, Texts
from prefdata.filters.registry import FILTERS
from prefdata.parts.inputs import describe_settings
from prefdata.parts.judge_names import check_judges
from prefdata.parts.policy_names import check_policies
from prefdata.pipelines.beam.spill import read_spilled
from prefdata.pipelines.stages.base import Context, Outcome, Stage
from prefdata.pipelines.stages.generate import name_policies
from prefdata.pipelines.stages.judge import name_judges
from prefdata.pipelines.stages.writing import write_outcome
from prefdata.records import FilteredPair
from prefdata.records.base import fill_columns

if TYPE_CHECKING:
    import apache_beam as beam

    from prefdata.pipelines.beam.filter_step import State

WHERE = "filter.filters"
DRY_RUN = "filter-dry-run"
"""The name of a dry run's counts, which lie beside those of the stage."""


class FilterStage(Stage):
    """Applies the filters in their order, each over all buckets."""

    name = "filter"
    summary = "drop pairs that teach the wrong thing, or nothing"
    section = "filter"
    table = "filtered"
    parts = FILTERS
    takes = "augmented"
    unit = "pairs"

    def reads(self, params: Params) -> list[str]:
        measured = any(takes_ches(each, params) for each in _build_filters(params))
        return ["augmented", "prompts", "responses", *(["ches"] if measured else [])]

    def settings(self, params: Params) -> dict[str, JsonValue]:
        return {"filters": [describe_settings(config) for config in params.list_filters()]}

    def requirements(self, params: Params) -> list[Requirement]:
        asking = [each for each in _build_filters(params) if not takes_ches(each, params)]
        return [requirement for each in asking for requirement in each.requirements()]

    def check(self, context: Context) -> None:
        policies, others_come = name_policies(context.params)
        judges = name_judges(context.params)
        for part in context.runtime.parts(FILTERS, context.params.list_filters(), WHERE):
            check_policies(part, policies, others_come)
            check_judges(part, judges)

    def ask_again(self, context: Context, bucket: int) -> None:
        """About the pairs that all filters kept: every filter has asked about these."""
        pairs = context.read("filtered", bucket)
        if not pairs.height:
            return
        prompts = context.read("prompts", bucket, ["prompt_id", "messages", "tools"])
        texts = Texts(prompts, context.read_responses(bucket))
        for part in context.runtime.parts(FILTERS, context.params.list_filters(), WHERE):
            if part.requirements() and not takes_ches(part, context.params):
                part.measure(pairs, texts, context.inference())

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        import apache_beam as beam

        from prefdata.pipelines.beam.filter_step import FilterStep, load_bucket
        from prefdata.pipelines.beam.steps import apply_step, spread_buckets

        states = apply_step(spread_buckets(pipeline, context), "Load", context, load_bucket)
        stats = []
        configs, labels = context.params.list_filters(), context.params.label_filters()
        for number, (config, label) in enumerate(zip(configs, labels, strict=True)):
            step = FilterStep(config, f"{WHERE}.{number}", label)
            states, figures = step.apply(states, context)
            if figures is not None:
                stats.append(figures)
        stats.append(apply_step(states, "Write", context, self._finish_bucket))
        return stats | "All counts" >> beam.Flatten()

    def _finish_bucket(self, context: Context, state: State) -> Iterator[Stats]:
        rows = fill_columns(read_spilled(state.pairs), FilteredPair)
        outcome = Outcome(state.rows_in, rows, read_spilled(state.dropped), state.usage)
        stats = self.write(context, state.bucket, outcome)
        yield stats.model_copy(update={"filters": state.filters})

    def write(self, context: Context, bucket: int, outcome: Outcome) -> Stats:
        """Write a bucket and count it."""
        return write_outcome(context, context.table("filtered"), bucket, outcome)


def takes_ches(part: Filter, params: Params) -> bool:
    """Whether the filter goes by what the stage ches has measured."""
    return params.ches is not None and part.takes_ches(params.ches.model, params.ches.completion)


def _build_filters(params: Params) -> list[Filter]:
    return FILTERS.build_all(params.list_filters(), WHERE)


class FilterDryRun(FilterStage):
    """Counts what each filter would drop. Model calls are made and kept in the memo; no table is
    written."""

    name = DRY_RUN
    summary = "say what each filter would drop, and write no table"

    def begin(self, context: Context) -> None:
        """Nothing is written."""

    def write(self, context: Context, bucket: int, outcome: Outcome) -> Stats:
        where = f"filter, bucket {bucket}"
        stats = account(where, outcome.rows_in, outcome.rows.height, outcome.dropped)
        return stats.model_copy(update={"usage": outcome.usage or {}})

    def finish(self, context: Context, stats: Stats) -> None:
        """Nothing was written."""
