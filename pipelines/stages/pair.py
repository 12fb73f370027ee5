"""Pair: data/judgments, data/responses -> data/pairs. Which agreed comparisons become pairs."""

from __future__ import annotations

import polars as pl

from prefdata.ches.measure import COLUMNS
from prefdata.comparisons.sides import oriented, with_texts
from prefdata.config.params import Params
from prefdata.engines.base import Need
from prefdata.errors import ConfigError
from prefdata.hashing.digests import row_digests
from prefdata.hashing.ids import ID_BYTES
from prefdata.pairs import registry as lookup
from prefdata.pipelines.stages.base import Outcome, Run, Stage
from prefdata.records import CONSENSUS, Pair
from prefdata.records.base import polars_schema

_IDS = ["prompt_id", "chosen_id", "rejected_id"]


def work(run: Run, bucket: int) -> Outcome:
    """Choose the pairs of one bucket."""
    strategy = lookup.build(run.params.pair.strategy)
    columns = ["prompt_id", "judge", "response_a", "response_b", "preference", "agreement", "flag"]
    consensus = run.read("judgments", bucket, columns).filter(pl.col("judge") == CONSENSUS)
    comparisons = oriented(consensus)
    texts = run.read("responses", bucket, ["response_id", "text"])
    if strategy.needs_ches:
        scores = run.read("scores", bucket, ["chosen_id", "rejected_id", *COLUMNS])
        on = ["chosen_id", "rejected_id"]
        comparisons = comparisons.join(scores, on=on, how="left", maintain_order="left")
    selected = strategy.select(with_texts(comparisons, texts)).drop("chosen", "rejected")
    pairs = selected.filter(pl.col("reason").is_null())
    ids = row_digests(pairs, _IDS).str.head(2 * ID_BYTES)
    pairs = pairs.with_columns(pair_id=ids, strategy=pl.lit(strategy.kind))
    dropped = selected.filter(pl.col("reason").is_not_null()).select(
        stage=pl.lit("pair"),
        reason="reason",
        detail="detail",
        fault=pl.lit(False),
        place="prompt_id",
        record=pl.struct(*_IDS, "soft_label").struct.json_encode(),
    )
    return Outcome(consensus.height, pairs.select(polars_schema(Pair).names()), dropped)


def _reads(params: Params) -> list[str]:
    scores = ["scores"] if lookup.build(params.pair.strategy).needs_ches else []
    return ["judgments", "responses", *scores]


def requirements(params: Params) -> list[Need]:
    """No model; checks the strategy's settings."""
    strategy = lookup.build(params.pair.strategy)
    if strategy.needs_ches and params.score is None:
        raise ConfigError(
            f"pair.strategy: {strategy.kind} goes by CHES, and there is no section `score`",
            "Add one, such as `score: {model: policy}`.",
        )
    return []


STAGE = Stage("pair", "comparisons", _reads, work, needs)
