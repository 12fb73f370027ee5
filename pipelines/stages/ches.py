"""Score: data/prompts, data/responses -> data/scores. CHES of every ordered pair of responses.

One call a response gives all of a prompt's n (n - 1) ordered pairs, so that pairs can be chosen by
their CHES. The section `score` of params.yaml may be left out: then there is no such table.
"""

from __future__ import annotations

import polars as pl

from prefdata.ches.measure import measure_pairs
from prefdata.config.params import Params
from prefdata.engines.base import Need, error_code
from prefdata.errors import ConfigError
from prefdata.pipelines.stages.base import Outcome, Run, Stage
from prefdata.pipelines.stages.judge import responses
from prefdata.records import Score
from prefdata.records.base import polars_schema


def work(run: Run, bucket: int) -> Outcome:
    """Score one bucket's ordered pairs."""
    assert run.params.score is not None
    responses = (
        responses(run, bucket)
        .sort("prompt_id", "response_id")
        .join(
            run.read("prompts", bucket, ["prompt_id", "messages"]),
            on="prompt_id",
            maintain_order="left",
        )
    )
    ids = responses.select("prompt_id", chosen_id="response_id")
    pairs = ids.join(ids.rename({"chosen_id": "rejected_id"}), on="prompt_id").filter(
        pl.col("chosen_id") != pl.col("rejected_id")
    )
    inference = run.inference(bucket)
    scored = measure_pairs(run.params.score.model, responses, pairs, inference)
    failed = scored.filter(pl.col("fault").is_not_null())
    dropped = failed.select(
        stage=pl.lit("score"),
        reason=error_code(pl.col("fault")),
        detail="fault",
        fault=pl.lit(True),
        prompt_id="prompt_id",
        record=pl.struct("prompt_id", "chosen_id", "rejected_id").struct.json_encode(),
    )
    rows = scored.filter(pl.col("fault").is_null()).select(polars_schema(Score).names())
    return Outcome(pairs.height, rows, dropped, inference=inference)


def requirements(params: Params) -> list[Need]:
    """The model that is asked for hidden sums."""
    if params.score is None:
        raise ConfigError(
            "params.yaml has no section `score`", "Add one, such as `score: {model: policy}`."
        )
    return [(params.score.model, "hidden_sums")]


STAGE = Stage("score", "ordered pairs", ["prompts", "responses"], work, needs)
