"""All stages by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prefdata.config.params import Params
from prefdata.errors import TooManyFaulty
from prefdata.pipelines.stages import (
    augment,
    export,
    filter,
    generate,
    ingest,
    judge,
    pair,
    reward_head,
)
from prefdata.pipelines.stages import ches as score
from prefdata.pipelines.stats import Stats

RunStage = Callable[[Params, Sequence[str], bool], Stats]

STAGES: dict[str, RunStage] = {
    "reward-head": reward_head.run_stage,
    "ingest": ingest.run_stage,
    "generate": generate.STAGE.execute,
    "judge": judge.run_stage,
    "score": score.STAGE.execute,
    "pair": pair.STAGE.execute,
    "augment": augment.STAGE.execute,
    "filter": filter.run_stage,
    "export": export.run_stage,
}


def check_faults(params: Params, stage: str, stats: Stats) -> None:
    """Raise TooManyFaulty where faulty records passed the stage's limit."""
    section = getattr(params, stage.replace("-", "_"))
    limit = getattr(section, "max_faulty_fraction", None)
    if limit is None or stats.faults <= limit * stats.rows_in:
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in stats.dropped.items())
    raise TooManyFaulty(
        f"{stage}: {stats.faults} of {stats.rows_in} are faulty, more than "
        f"max_faulty_fraction = {limit:g} ({reasons})",
        f"Look at {params.data}/dropped/{stage}; mend the input or raise "
        f"{stage}.max_faulty_fraction. The good rows were written.",
    )
