"""The injection probe of `prefdata audit`: prompted judges are asked about attacked responses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl

from prefdata.audit.injection import ATTACKS, add_attack, choose_decided, measure_injection
from prefdata.comparisons.keys import COMPARISON
from prefdata.config.params import Params
from prefdata.inference.progress import Progress
from prefdata.judges.asking.prompted import PromptedJudge
from prefdata.judges.base import Candidates, Judge
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.stages.base import Context
from prefdata.pipelines.stages.judge import PROMPT_COLUMNS, make_panel
from prefdata.tables.read import read_info


def probe_injection(
    params: Params, count: int, progress: Progress | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Ask each prompted judge again, with a known attack at the end of the response that lost.

    Calls go through the memo: those without an attack, of judges of two responses or of one, are
    the run's own.

    Args:
        params: The run's configuration.
        count: The most comparisons of each judge.
        progress: Where progress is reported.

    Returns:
        By judge, the figures of `measure_injection` for each attack.
    """
    with open_runtime(params, progress) as run:
        context = Context(params, "audit", run)
        buckets = read_info(context.table("judgments")).buckets
        context = replace(context, buckets=buckets)
        judges = [judge for judge in make_panel(context) if isinstance(judge, PromptedJudge)]
        return {judge.name: _probe(context, judge, count) for judge in judges}


def _probe(context: Context, judge: Judge, count: int) -> list[dict[str, Any]]:
    judgments = pl.concat(
        context.read("judgments", bucket, ["judge", *COMPARISON, "preference"])
        for bucket in range(context.buckets)
    )
    candidates = _set_apart(context, choose_decided(judgments.filter(judge=judge.name), count))
    inference = context.inference()
    plain = judge.judge_all(candidates, inference)
    figures = []
    for attack in ATTACKS:
        responses = add_attack(candidates.responses, plain, attack)
        attacked = judge.judge_all(replace(candidates, responses=responses), inference)
        figures.append(measure_injection(attack, plain, attacked))
    return figures


def _set_apart(context: Context, chosen: pl.DataFrame) -> Candidates:
    """The comparisons, each as a prompt of its own: a response that lost one may have won
    another, where it is not attacked."""
    ids = chosen["prompt_id"].unique().implode()
    prompts, responses = (
        pl.concat(each.filter(pl.col("prompt_id").is_in(ids)) for each in tables)
        for tables in (
            [context.read("prompts", bucket, PROMPT_COLUMNS) for bucket in range(context.buckets)],
            [context.read_responses(bucket) for bucket in range(context.buckets)],
        )
    )
    row = pl.int_range(pl.len()).cast(pl.String).str.zfill(8)
    numbered = chosen.with_columns(own=pl.format("{}{}", pl.col("prompt_id").str.head(24), row))
    sides = [
        numbered.select("own", response_id=f"response_{side}")
        .join(responses, on="response_id", how="left", maintain_order="left")
        .with_columns(prompt_id="own", response_id=pl.format(f"{{}}{side}", "own"))
        .drop("own")
        for side in ("a", "b")
    ]
    return Candidates(
        numbered.join(prompts, on="prompt_id", how="left", maintain_order="left")
        .with_columns(prompt_id="own")
        .select(prompts.columns),
        pl.concat(sides),
        numbered.select(
            prompt_id="own",
            response_a=pl.format("{}a", "own"),
            response_b=pl.format("{}b", "own"),
        ),
    )
