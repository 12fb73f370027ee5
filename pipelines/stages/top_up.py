"""Top up: more samples for the prompts that fell short of generate.accepted_per_prompt or of
generate.target_pairs.

Reads what the stages up to `filter` wrote and writes data/top_up, by which the next `generate`
draws: n samples for each prompt, in steps of generate.n and at most generate.max_n. Prompts that
are short are in data/dropped/top-up, each with the reason that most of its candidates fell out
for. The plan follows from those tables alone, so it depends on no runner, bucketing or kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import apache_beam as beam
import polars as pl

from prefdata.config.params import GenerateParams, Params
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.filters import registry as filters
from prefdata.pairs import registry as pairs
from prefdata.pipelines import layout
from prefdata.pipelines.stages.base import (
    Outcome,
    Run,
    WorkOnBucket,
    begin_tables,
    buckets,
    complete,
    execute,
    keep_stats,
    start,
)
from prefdata.records import Dropped
from prefdata.records.base import polars_schema
from prefdata.tables import read_bucket, read_info, write_bucket

UNIT = "prompts"
_READS = ("prompts", "responses", "filtered")
_REJECTING = ("generate", "judge", "pair", "filter")
"""The stages in which candidates fall out, in their order."""


@dataclass(frozen=True)
class Round:
    """What a round came to."""

    pairs: int
    wanted: int
    short: dict[str, int]
    """Prompts that are short, by reason."""
    drawn: int = 0
    """Prompts that get more samples."""
    samples: int = 0
    """Samples they get, all together."""

    def figures(self) -> dict[str, Any]:
        """For `--json`."""
        return {"pairs": self.wanted, "got": self.pairs, "prompts_short": self.short}

    def line(self) -> str:
        """For people."""
        text = f"{self.pairs:,} of {self.wanted:,} wanted pairs"
        if self.short:
            reasons = ", ".join(f"{reason} {number}" for reason, number in self.short.items())
            count = sum(self.short.values())
            text += f"; {count:,} {'prompt' if count == 1 else 'prompts'} short ({reasons})"
        if self.drawn:
            text += f"; {self.samples:,} more samples for {self.drawn:,} of them"
        return text


def check(params: Params) -> None:
    """Refuse what can't be reached, before any work."""
    config = params.generate
    most = pairs.build(params.pair.strategy).most
    if most is not None and (config.accepted_per_prompt or 0) > most:
        raise ConfigError(
            f"generate.accepted_per_prompt: {config.accepted_per_prompt}, but the strategy "
            f"{params.pair.strategy.kind} makes at most {most} a prompt",
            "Lower it, or set pair.strategy to one that makes several, such as all_above_margin.",
        )


def forget(params: Params) -> None:
    """Take an earlier plan away: a run begins with generate.n samples for every prompt."""
    for table in (layout.plan(params), layout.dropped(params, layout.TOP_UP)):
        storage.remove(table.info_path)


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Round:
    """Count what each prompt got, and plan the next samples."""
    if not params.generate.wants_pairs():
        raise ConfigError(
            "generate: neither accepted_per_prompt nor target_pairs is set, so nothing is short",
            "Set one of them.",
        )
    check(params)
    run = start(params, layout.TOP_UP, _READS, [], quiet)
    config, (got, wanted) = params.generate, _standing(params)
    output = layout.plan(params)
    begin_tables(run, output)

    def build(pipeline: beam.Pipeline) -> None:
        count = partial(work, reached=got >= wanted)
        counted = beam.ParDo(WorkOnBucket(run, count, output))
        keep_stats(run, buckets(pipeline, run) | layout.TOP_UP >> counted)

    execute(build, arguments)
    frames = [read_bucket(output, b, run.buckets) for b in range(run.buckets)]
    state = pl.concat(frames)
    chosen = next_prompts(state, config, wanted - got)
    step = (pl.min_horizontal(pl.col("drawn") + config.n, config.most())).cast(pl.Int64)
    for bucket, frame in enumerate(frames):
        more = frame.with_columns(
            n=pl.when(pl.col("prompt_id").is_in(chosen["prompt_id"].implode()))
            .then(step)
            .otherwise("drawn")
        )
        if not more.equals(frame):
            write_bucket(output, bucket, run.buckets, more)
    stats = complete(run, output, UNIT)
    samples = int(chosen.select((step - pl.col("drawn")).sum()).item())
    return Round(got, wanted, stats.dropped, chosen.height, samples)


def found(params: Params) -> Round | None:
    """How far the last run came; None where nothing is wanted, or nothing was counted yet."""
    dropped = layout.dropped(params, layout.TOP_UP)
    if not params.generate.wants_pairs() or storage.read_bytes(dropped.info_path) is None:
        return None
    return Round(*_standing(params), read_info(dropped).dropped)


def _standing(params: Params) -> tuple[int, int]:
    """(pairs there are, pairs wanted)."""
    config = params.generate
    got = read_info(layout.table(params, "filtered")).rows_out
    prompts = read_info(layout.table(params, "prompts")).rows
    return got, config.target_pairs or (config.accepted_per_prompt or 1) * prompts


def next_prompts(state: pl.DataFrame, config: GenerateParams, lacking: int) -> pl.DataFrame:
    """The rows of `state` that get more samples, `lacking` pairs being wanted yet.

    With accepted_per_prompt alone, every prompt that is short. With target_pairs only as many as
    are likely to do: the pairs that are lacking over the share of prompts that have one, and no
    fewer than were topped up before, so that the number doubles where that was too few. Those with
    the fewest samples come first, then those with the fewest pairs, then by id.
    """
    if lacking <= 0:
        return state.clear()
    ready = state.filter("open").sort("drawn", "accepted", "prompt_id")
    if config.target_pairs is None:
        return ready
    share = max(float((state["accepted"] > 0).mean() or 0.0), 0.05)  # type: ignore[arg-type]
    before = int(((state["drawn"] - config.n).clip(lower_bound=0) / config.n).ceil().sum())
    return ready.head(max(ceil(lacking / share), before))


def work(run: Run, bucket: int, reached: bool) -> Outcome:
    """One bucket's prompts: what was drawn, what was accepted, whether more may help."""
    config = run.params.generate
    strategy = pairs.build(run.params.pair.strategy)
    parts = filters.build(run.params.filter.filters)
    prompts = run.read("prompts", bucket, ["prompt_id"])
    fallen = _fallen(run, bucket)
    of_generate = fallen.filter(pl.col("stage") == "generate")
    # A response that the source brought is no sample: it has no sample_index.
    sampled = run.read("responses", bucket, ["prompt_id", "sample_index"]).drop_nulls()
    drawn = pl.concat([sampled.select("prompt_id"), of_generate.select("prompt_id")])
    # Another sample of the same prompt would fail, or be dropped, for the same reason.
    hopeless = pl.col("fault") | pl.col("reason").is_in(
        sorted({reason for f in parts for reason in f.prompt_reasons})
    )
    closed = fallen.filter(pl.col("stage").is_in(["generate", "filter"]) & hopeless)
    quota = config.accepted_per_prompt or strategy.most
    counted = (
        prompts.join(drawn.group_by("prompt_id").len("drawn"), on="prompt_id", how="left")
        .join(_accepted(run, bucket), on="prompt_id", how="left")
        .with_columns(pl.col("drawn", "accepted").fill_null(0).cast(pl.Int64))
        .with_columns(
            open=(pl.col("drawn") < config.most())
            & ~pl.col("prompt_id").is_in(closed["prompt_id"].implode())
            & (pl.lit(True) if quota is None else pl.col("accepted") < quota),
            n="drawn",
        )
    )
    wanted = config.accepted_per_prompt or 1
    short = counted.filter((pl.col("accepted") < wanted) & (not reached))
    dropped = _shortfall(short, fallen, wanted, config)
    return Outcome(prompts.height, counted, dropped, rows_out=prompts.height - dropped.height)


def _accepted(run: Run, bucket: int) -> pl.DataFrame:
    kept = run.read("filtered", bucket, ["prompt_id"])
    return kept.group_by("prompt_id").len("accepted")


def _fallen(run: Run, bucket: int) -> pl.DataFrame:
    """stage, prompt_id, reason and fault of all that fell out of the bucket."""
    columns = ["place", "stage", "reason", "fault"]
    return pl.concat(
        read_bucket(layout.dropped(run.params, stage), bucket, run.buckets, columns)
        for stage in _REJECTING
    ).rename({"place": "prompt_id"})


def _shortfall(
    short: pl.DataFrame, fallen: pl.DataFrame, wanted: int, config: GenerateParams
) -> pl.DataFrame:
    """Rejections of the prompts that are short, each with the reason that most of its candidates
    had in the last stage that any of them reached."""
    order = pl.col("stage").replace_strict(list(_REJECTING), list(range(len(_REJECTING))))
    reasons = (
        fallen.join(short, on="prompt_id", how="semi")
        .group_by("prompt_id", "stage", "reason")
        .len("count")
        .with_columns(order=order)
        .sort("prompt_id", "order", "count", "reason", descending=[False, True, True, False])
        .group_by("prompt_id", maintain_order=True)
        .agg(pl.col("reason").first(), said=pl.format("{} {}", "reason", "count").str.join(", "))
    )
    told = short.join(reasons, on="prompt_id", how="left").with_columns(
        pl.col("reason").fill_null("too_few_responses"), pl.col("said").fill_null("none fell out")
    )
    return told.select(
        stage=pl.lit(layout.TOP_UP),
        reason="reason",
        detail=pl.format(
            "{} of {} pairs from {} samples, max_n {}; {}",
            "accepted",
            pl.lit(wanted),
            "drawn",
            pl.lit(config.most()),
            "said",
        ),
        fault=pl.lit(False),
        place="prompt_id",
        record=pl.struct("prompt_id", "drawn", "accepted").struct.json_encode(),
    ).select(polars_schema(Dropped).names())
