"""Judge: data/prompts, data/responses -> data/judgments. Every judge on every comparison.

Of n responses all n (n - 1) / 2 comparisons are judged; those of two identical responses are
dropped. With judge.demonstrations that is done in cycles (demonstrations.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl
from pydantic import JsonValue

from prefdata.accounting.judges import count_verdicts
from prefdata.accounting.stats import Stats, add_usage
from prefdata.comparisons.keys import COMPARISON
from prefdata.config.params import Params
from prefdata.engines.base import Requirement
from prefdata.errors import ConfigError
from prefdata.judges.asking.demonstrations import Demonstrations
from prefdata.judges.base import Candidates, Judge
from prefdata.judges.human import HumanJudge
from prefdata.judges.registry import JUDGES, build_panel
from prefdata.judges.scored.embedding_reward import EmbeddingRewardJudge
from prefdata.parts.inputs import describe_settings
from prefdata.pipelines.stages import demonstrations
from prefdata.pipelines.stages.base import Context, Outcome, Stage
from prefdata.pipelines.stages.writing import write_outcome
from prefdata.records import Judgment
from prefdata.records.base import polars_schema
from prefdata.records.dropped import drop_rows
from prefdata.sources.registry import SOURCES
from prefdata.tables.packing import unpack

if TYPE_CHECKING:
    import apache_beam as beam


SLICE_COMPARISONS = 12_288
"""Comparisons judged at once: a judge's prompts are many times the size of the responses. Of four
responses to each prompt, a full bucket has twice as many."""
WHERE = "judge.judges"

PROMPT_COLUMNS = ["prompt_id", "messages", "tools", "ground_truth", "responses", "annotations"]


@dataclass(frozen=True)
class Judged:
    """A bucket whose judgments of a cycle are written, and its counts so far.

    The table is marked whole after the last cycle, never between two.
    """

    bucket: int
    stats: Stats


class JudgeStage(Stage):
    """Lets every judge judge every comparison."""

    name = "judge"
    summary = "judge every comparison of a prompt's responses by every judge"
    section = "judge"
    table = "judgments"
    parts = JUDGES
    unit = "comparisons"

    def reads(self, params: Params) -> list[str]:
        return ["prompts", "responses"]

    def settings(self, params: Params) -> dict[str, JsonValue]:
        panel = build_panel(params.judge.judges)
        shown = params.judge.demonstrations
        # The judgments on which judges agree, by the consensus, are shown to them.
        cycles = {"consensus": describe_settings(params.consensus)} if shown else {}
        return {
            "judges": [{**describe_settings(each.config), "name": each.name} for each in panel],
            "demonstrations": describe_settings(shown) if shown else None,
            **cycles,
        }

    def requirements(self, params: Params) -> list[Requirement]:
        panel = build_panel(params.judge.judges)
        return [requirement for judge in panel for requirement in judge.requirements()]

    def check(self, context: Context) -> None:
        params = context.params
        sources = SOURCES.build_all(params.ingest.sources, "ingest.sources")
        kinds = {kind for source in sources for kind in source.annotation_kinds}
        panel = build_panel(params.judge.judges)
        for judge in panel:
            wanted = judge.config.annotations if isinstance(judge, HumanJudge) else None
            if wanted is not None and wanted not in kinds:
                raise ConfigError(
                    f"{judge.where}: {judge.name} takes annotations of the kind {wanted}, and no "
                    "source has them",
                    f"Set `annotations: {{kind: {wanted}}}` of a source in ingest.sources.",
                )
            # A head that the stage reward-head will train need not exist yet.
            head = params.reward_head.out if params.reward_head else None
            if not (isinstance(judge, EmbeddingRewardJudge) and judge.config.head == head):
                context.runtime.part(JUDGES, judge.config, judge.where)
        if params.judge.demonstrations:
            demonstrations.name_learners(params.judge.demonstrations, panel)

    def begin(self, context: Context) -> None:
        super().begin(context)
        demonstrations.remove(context)

    def ask_again(self, context: Context, bucket: int) -> None:
        """The first cycle: later ones are shown what came of it."""
        judge_bucket(context, bucket, context.read_responses(bucket), make_panel(context), None)

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        from prefdata.pipelines.beam.steps import apply_step, spread_buckets

        buckets = spread_buckets(pipeline, context)
        judged = apply_step(buckets, "Judge", context, _judge_first)
        for cycle in range(2, demonstrations.count_cycles(context.params) + 1):
            chosen = demonstrations.choose(judged, context, cycle)
            step = f"Judge again, cycle {cycle}"
            judged = apply_step(judged, step, context, _judge_again, demonstrated=chosen)
        return apply_step(judged, "Counts", context, _take_stats, brief=True)


def make_panel(context: Context) -> list[Judge]:
    """The judges of params.yaml."""
    return context.runtime.parts(JUDGES, context.params.judge.judges, WHERE)


def name_judges(params: Params) -> list[str]:
    """The names of the judges of params.yaml."""
    return [judge.name for judge in build_panel(params.judge.judges)]


def _judge_first(context: Context, bucket: int) -> Iterator[Judged]:
    responses = context.read_responses(bucket)
    outcome = judge_bucket(context, bucket, responses, make_panel(context), None)
    yield _write(context, bucket, outcome, responses)


def _judge_again(context: Context, judged: Judged, demonstrated: bytes) -> Iterator[Judged]:
    settings = context.params.judge.demonstrations
    assert settings is not None
    panel = make_panel(context)
    learners = demonstrations.name_learners(settings, panel)
    before = context.read("judgments", judged.bucket)
    others = before.filter(~pl.col("judge").is_in(learners))
    asked = [judge for judge in panel if judge.name in learners]
    shown = Demonstrations(unpack(demonstrated), settings.count)
    responses = context.read_responses(judged.bucket)
    outcome = judge_bucket(context, judged.bucket, responses, asked, shown)
    whole = replace(
        outcome,
        rows=pl.concat([others, outcome.rows]),
        usage=add_usage(judged.stats.usage, outcome.usage or {}),
    )
    yield _write(context, judged.bucket, whole, responses)


def _write(context: Context, bucket: int, outcome: Outcome, responses: pl.DataFrame) -> Judged:
    stats = write_outcome(context, context.table("judgments"), bucket, outcome)
    texts = responses.select("response_id", text="content")
    return Judged(bucket, stats.model_copy(update={"judges": count_verdicts(outcome.rows, texts)}))


def judge_bucket(
    context: Context,
    bucket: int,
    responses: pl.DataFrame,
    panel: list[Judge],
    shown: Demonstrations | None,
) -> Outcome:
    """The panel's judgments of a bucket's comparisons; those of identical responses are dropped.
    `responses` are the bucket's, as `Context.read_responses` has them."""
    prompts = context.read("prompts", bucket, PROMPT_COLUMNS)
    comparisons, identical = compare_responses(responses)
    inference = context.inference()
    size = max(1, SLICE_COMPARISONS // (1 + shown.count)) if shown else SLICE_COMPARISONS
    tables = [pl.DataFrame(schema=polars_schema(Judgment))]
    for candidates in Candidates(prompts, responses, comparisons, shown).slices(size):
        tables += [judge.judge_all(candidates, inference) for judge in panel]
    judgments = pl.concat(tables)
    return Outcome(
        comparisons.height + identical.height,
        judgments,
        drop_rows(identical, context.stage, COMPARISON, fault=False),
        inference.usage,
        rows_out=judgments.select(COMPARISON).n_unique(),
    )


def _take_stats(context: Context, judged: Judged) -> Iterator[Stats]:
    yield judged.stats


def _holds(rows: pl.DataFrame, column: str) -> bool:
    return column in rows.columns and rows[column].null_count() < rows.height


def compare_responses(responses: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(comparisons to judge, comparisons with a response that repeats another one of its prompt).

    Both have the columns COMPARISON with response_a < response_b, the second also reason and
    detail.
    """
    ordered = responses.sort("prompt_id", "response_id")
    # By what a response was made of: the calls' ids are its server's, and say nothing.
    # Without calls the content is the text.
    told_by = {"content": "tool_calls", "thoughts": "thoughts"}
    there = [name for name, by in told_by.items() if _holds(ordered, name) and _holds(ordered, by)]
    repeats = pl.struct("prompt_id", "text", *there).is_first_distinct().not_()
    marked = ordered.with_columns(repeat=repeats)
    one = marked.select("prompt_id", response_a="response_id", repeat_a="repeat")
    two = marked.select("prompt_id", response_b="response_id", repeat_b="repeat")
    pairs = one.join(two, on="prompt_id").filter(pl.col("response_a") < pl.col("response_b"))
    repeated = pl.col("repeat_a") | pl.col("repeat_b")
    identical = pairs.filter(repeated).with_columns(
        reason=pl.lit("identical_responses"),
        detail=pl.lit("one of the two repeats, word for word, another response to the prompt"),
    )
    return (
        pairs.filter(~repeated).select(COMPARISON),
        identical.select(*COMPARISON, "reason", "detail"),
    )
