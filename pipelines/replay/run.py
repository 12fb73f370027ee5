"""`prefdata replay`: remembered model calls are made again by the stages that made them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import polars as pl

from prefdata.config.params import Params
from prefdata.dataset.receipt import (
    CallReceipt,
    LabelsReceipt,
    ModelReceipt,
    Receipt,
)
from prefdata.engines.base import Operation
from prefdata.errors import ConfigError, TableError
from prefdata.inference import Inference, Memo, Progress
from prefdata.inference.replay.asking import (
    Chosen,
    ReplayInference,
    choose_prompts,
    has_sampled,
)
from prefdata.inference.replay.drift import measure_drift
from prefdata.inference.versions import read_versions
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.replay.judgments import JudgedAgain, compare_judges, compare_labels
from prefdata.pipelines.stages.base import Context, Stage
from prefdata.pipelines.stages.judge import JudgeStage, judge_bucket, make_panel
from prefdata.pipelines.stages.registry import STAGES
from prefdata.tables import read_info
from prefdata.tables.chain import Chain, find_unfit
from prefdata.tables.read import is_finished


@dataclass(frozen=True)
class ReplayContext(Context):
    """A context whose model calls are those of `replayed`."""

    replayed: ReplayInference | None = None

    def inference(self) -> Inference:
        assert self.replayed is not None
        return self.replayed


@dataclass(frozen=True)
class Planned:
    """The calls of a stage that are to be made again.

    Attributes:
        stage: The stage.
        context: Its context.
        buckets: How many buckets, from the first, have them.
        chosen: The prompts of each call.
        seen: The remembered requests of these prompts, as `ReplayInference.list_seen` has them.
    """

    stage: Stage
    context: ReplayContext
    buckets: int
    chosen: Chosen
    seen: pl.DataFrame

    def count_tokens(self) -> dict[str, tuple[int, int, int]]:
        """By call: requests, tokens read and tokens generated."""
        rows = self.seen.unique(["call", "key"]).group_by("call").agg(
            pl.len(), pl.col("tokens_in", "tokens_out").sum()
        )  # fmt: skip
        return {call: counts for call, *counts in rows.sort("call").iter_rows()}  # type: ignore[misc]


class Replay:
    """A replay of a run: planned first, so that what it costs is known before any call.

    Args:
        context: The run's context.
        sample: How many requests of each call of each stage to ask again, at least.
        scratch: A folder for what is asked now.
    """

    def __init__(self, context: Context, sample: int, scratch: str) -> None:
        if context.params.memo is None:
            raise ConfigError(
                "memo: null, so no model call is remembered", "Set `memo` to the memo's folder."
            )
        self._context, self._sample = context, sample
        self._memo = Memo(context.params.memo)
        self._scratch = Memo(scratch)
        stages = [each for each in STAGES if each.is_wanted(context.params)]
        self._stages = [
            each for each in stages if each.list_models(context.params) and _is_done(context, each)
        ]
        self._models = {
            name: context.runtime.engines[name].fingerprint
            for stage in self._stages
            for name in stage.list_models(context.params)
        }
        self._tables = _check_tables(context, stages, self._models)
        self.planned = [each for stage in self._stages if (each := self._plan(stage))]
        if not self.planned:
            raise ConfigError(
                f"{context.params.memo}: it has no model call of this run's stages",
                "Run the flow with this memo first: prefdata run",
            )

    def ask(self) -> Receipt:
        """Ask, and compare."""
        calls, judges = [], {}
        labels: LabelsReceipt | None = None
        versions: dict[str, dict[str, str]] = {}
        for planned in self.planned:
            self._context.runtime.progress.start_stage(
                planned.stage.name, self.planned.index(planned) + 1, len(self.planned)
            )
            if isinstance(planned.stage, JudgeStage):
                inference = self._open(planned, None)
                rows = list(self._judge_again(planned, inference))
                judges = dict(compare_judges(rows))
                labels = compare_labels(planned.context, rows)
            else:
                inference = self._open(planned, planned.chosen)
                for bucket in range(planned.buckets):
                    planned.stage.ask_again(replace(planned.context, replayed=inference), bucket)
            calls += list(self._compare_calls(planned, inference, versions))
        memo = cast(str, self._context.params.memo)
        return Receipt(
            sample=self._sample,
            calls=calls,
            judges=judges,
            labels=labels,
            models={
                name: ModelReceipt(
                    fingerprint=self._models[name],
                    then=read_versions(memo, self._models[name]),
                    now=versions[name],
                )
                for name in sorted(versions)
            },
            tables={s.table: self._tables[s.table] for s in self._stages if s.table},
        )

    def _plan(self, stage: Stage) -> Planned | None:
        context, seen, bucket = self._prepare(stage), pl.DataFrame(), 0
        inference = self._open(Planned(stage, context, 0, {}, seen), None)
        for bucket in range(context.buckets):
            stage.ask_again(replace(context, replayed=inference), bucket)
            seen = inference.list_seen()
            if has_sampled(seen, self._sample):
                break
        chosen = choose_prompts(seen, self._sample) if seen.height else {}
        if not chosen:
            return None
        own = [
            seen.filter(pl.col("call") == call, pl.col("prompt_id").is_in(sorted(prompts)))
            for call, prompts in chosen.items()
        ]
        return Planned(stage, context, bucket + 1, chosen, pl.concat(own))

    def _prepare(self, stage: Stage) -> ReplayContext:
        context = replace(self._context, stage=stage.name)
        inputs = stage.open_inputs(context)
        return ReplayContext(
            params=context.params,
            stage=stage.name,
            run=context.run,
            buckets=stage.count_buckets(context),
            inputs=tuple((name, info.content) for name, info in inputs.items()),
        )

    def _open(self, planned: Planned, chosen: Chosen | None) -> ReplayInference:
        runtime = self._context.runtime
        return ReplayInference(
            runtime.engines, self._memo, self._scratch, runtime, planned.stage.name, chosen
        )

    def _judge_again(self, planned: Planned, total: ReplayInference) -> Iterator[JudgedAgain]:
        """Each judge's judgments then and now, bucket by bucket; `total` collects what is asked."""
        for bucket in range(planned.buckets):
            responses = planned.context.read_responses(bucket)
            for judge in make_panel(planned.context):
                now = self._open(planned, planned.chosen)
                # One that asks no model says the same again.
                ways = (self._open(planned, None), now) if judge.requirements() else (now,)
                then_and_now = [
                    judge_bucket(
                        replace(planned.context, replayed=each), bucket, responses, [judge], None
                    ).rows
                    for each in ways
                ]
                before, after = then_and_now[0], then_and_now[-1]
                total.add(now)
                covered = now.list_covered(before["prompt_id"].unique())
                yield JudgedAgain(
                    bucket, judge.name, before, after, frozenset(covered), now.has_asked()
                )

    def _compare_calls(
        self, planned: Planned, inference: ReplayInference, versions: dict[str, dict[str, str]]
    ) -> Iterator[CallReceipt]:
        """The drift of each call. What answers for each model is put into `versions`."""
        seen = inference.list_seen()
        for call in planned.chosen:
            operation, _, model = call.partition(" ")
            engine, fingerprint = self._context.runtime.engines[model], self._models[model]
            keys = seen.filter(call=call).select("key", "prompt_id")
            engine.start()
            versions[model] = engine.describe_versions()
            then, now = (
                memo.lookup(cast(Operation, operation), fingerprint, keys)
                for memo in (self._memo, self._scratch)
            )
            yield CallReceipt(
                stage=planned.stage.name,
                call=call,
                asked=keys["key"].n_unique(),
                missing=keys["key"].n_unique() - then.height,
                failed=dict(sorted(inference.failed.get(call, {}).items())),
                drift=measure_drift(cast(Operation, operation), then, now, engine.split_tokens),
            )


def replay(
    params: Params, sample: int, max_cost: float | None, progress: Progress | None = None
) -> Receipt:
    """Ask a sample of the run's remembered model calls again, and compare.

    The memo and the tables are read, and not written.

    Args:
        params: The run's configuration.
        sample: How many requests of each call of each stage, at least.
        max_cost: The most that it may cost, in the currency of the models' prices.
        progress: Where progress is reported.

    Raises:
        ConfigError: There is no memo, it has nothing of the run, or it would cost more.
        TableError: The tables are not those of params.yaml and today's models.
    """
    with tempfile.TemporaryDirectory() as scratch, open_runtime(params, progress) as run:
        replayed = Replay(Context(params, "replay", run), sample, scratch)
        _check_cost(params, replayed.planned, max_cost, progress or Progress())
        return replayed.ask()


def _is_done(context: Context, stage: Stage) -> bool:
    return stage.table is None or is_finished(context.table(stage.table))


def _check_tables(
    context: Context, stages: list[Stage], models: Mapping[str, str]
) -> dict[str, str]:
    """The content digests of the stages' tables. Raises TableError where one is not what today's
    params.yaml and models would make."""
    known: Mapping[str, str | None] = dict(models)
    tables = {each.name: each.table for each in stages if each.table and _is_done(context, each)}
    infos = {name: read_info(context.table(table)) for name, table in tables.items()}
    today: Chain = {each.name: each.describe(context.params, known) for each in stages}
    for stage, stale in find_unfit(infos, tables, today).items():
        link, why = next(iter(stale.items()))
        raise TableError(
            f"the table of {stage} is not what would be made today ({link}: {why}), so its calls "
            "are others",
            "Restore params.yaml and the models that it was made with, or make it again: "
            "prefdata run",
        )
    return {tables[name]: info.content for name, info in infos.items()}


def _check_cost(
    params: Params, planned: list[Planned], max_cost: float | None, progress: Progress
) -> None:
    """Say what will be asked, and at what price. Raises ConfigError where it costs more."""
    total: dict[str, float] = {}
    for each in planned:
        for call, (requests, read, made) in each.count_tokens().items():
            prices = params.models[call.partition(" ")[2]].prices
            cost = prices.cost(read, made) if prices else None
            if prices and cost:
                total[prices.currency] = total.get(prices.currency, 0.0) + cost
            price = f", {cost:,.4f} {prices.currency}" if prices and cost is not None else ""
            progress.note(
                f"  {each.stage.name}, {call}: {requests:,} requests, {read:,} tokens in, "
                f"{made:,} out{price}"
            )
    worst = max(total.values(), default=0.0)
    if worst > (max_cost or 0.0):
        costs = ", ".join(f"{cost:,.4f} {currency}" for currency, cost in sorted(total.items()))
        raise ConfigError(
            f"asking again costs about {costs}",
            f"Allow it with --max-cost {worst:.4f}, or lower --sample.",
        )
