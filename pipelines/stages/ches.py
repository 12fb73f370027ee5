"""CHES: data/prompts, data/responses -> data/ches. CHES of every ordered pair of responses.

One call per response gives all of a prompt's n (n - 1) ordered pairs, so that pairs can be chosen
by their CHES. Without the section `ches` in params.yaml the stage is skipped.
"""

from __future__ import annotations

import polars as pl

from prefdata.ches.measure import measure_pairs
from prefdata.config.params import ChesParams, Params
from prefdata.engines.base import Requirement, error_code
from prefdata.errors import ConfigError
from prefdata.pipelines.stages.base import BucketStage, Context, Outcome
from prefdata.records import Ches
from prefdata.records.base import polars_schema
from prefdata.records.dropped import drop_rows

_IDS = ["prompt_id", "chosen_id", "rejected_id"]


class ChesStage(BucketStage):
    """Measures all ordered pairs of each prompt's responses."""

    name = "ches"
    summary = "measure CHES of every ordered pair of a prompt's responses"
    section = "ches"
    table = "ches"
    unit = "ordered pairs"
    optional = True

    def reads(self, params: Params) -> list[str]:
        return ["prompts", "responses"]

    def requirements(self, params: Params) -> list[Requirement]:
        return [Requirement.of(_settings(params).model, "hidden_sums")]

    def work(self, context: Context, bucket: int) -> Outcome:
        prompts = context.read("prompts", bucket, ["prompt_id", "messages", "tools"])
        ordered = context.read_responses(bucket).sort("prompt_id", "response_id")
        responses = ordered.join(prompts, on="prompt_id", maintain_order="left")
        ids = responses.select("prompt_id", chosen_id="response_id")
        pairs = ids.join(ids.rename({"chosen_id": "rejected_id"}), on="prompt_id").filter(
            pl.col("chosen_id") != pl.col("rejected_id")
        )
        inference = context.inference()
        settings = _settings(context.params)
        measured = measure_pairs(settings.model, responses, pairs, inference, settings.completion)
        failed = measured.filter(pl.col("fault").is_not_null()).with_columns(
            reason=error_code(pl.col("fault")), detail="fault"
        )
        rows = measured.filter(pl.col("fault").is_null()).select(polars_schema(Ches).names())
        dropped = drop_rows(failed, context.stage, _IDS, fault=True)
        return Outcome(pairs.height, rows, dropped, inference.usage)


def _settings(params: Params) -> ChesParams:
    if params.ches is None:
        raise ConfigError(
            "params.yaml has no section `ches`", "Add one, such as `ches: {model: policy}`."
        )
    return params.ches
