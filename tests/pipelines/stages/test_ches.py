"""The stage score: CHES of all ordered pairs, and pairs chosen by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.errors import ConfigError
from prefdata.pipelines.check import check_parts
from prefdata.pipelines.stages.registry import STAGES


def run(params: Any, *stages: str) -> None:
    for name in stages:
        STAGES[name](params, [], True)


def read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "data" / table / "*.parquet")


def test_every_ordered_pair_of_a_prompt_is_scored_by_one_call_an_answer(tmp_path: Path) -> None:
    params = flows.params(tmp_path)
    run(params, "ingest", "generate")
    stats = STAGES["score"](params, [], True)
    responses, scores = read(tmp_path, "responses"), read(tmp_path, "scores")
    assert stats.usage["hidden_sums policy"].requests <= responses.height
    found = set(scores.select("chosen_id", "rejected_id").iter_rows())
    of_prompt = responses.group_by("prompt_id").agg("response_id")["response_id"].to_list()
    assert found == {(i, j) for ids in of_prompt for i in ids for j in ids if i != j}
    # Both orders: G[i,j] - G[i,i] and G[i,j] - G[j,j], so their sum is at most 0.
    turned = scores.select(chosen_id="rejected_id", rejected_id="chosen_id", back="ches")
    both = scores.join(turned, on=["chosen_id", "rejected_id"])
    assert both.height == scores.height
    assert (both["ches"] + both["back"] <= 1e-9).all()


def test_the_filter_asks_nothing_that_the_scores_did(tmp_path: Path) -> None:
    params = flows.params(tmp_path)
    run(params, "ingest", "generate", "judge", "score", "pair", "augment")
    stats = STAGES["filter"](params, [], True)
    usage = stats.usage["hidden_sums policy"]
    assert usage.cached == usage.requests > 0
    kept = read(tmp_path, "filtered").select("chosen_id", "rejected_id", "ches")
    scores = read(tmp_path, "scores").select("chosen_id", "rejected_id", wanted="ches")
    joined = kept.join(scores, on=["chosen_id", "rejected_id"])
    assert joined.height == kept.height > 0
    assert (joined["ches"] - joined["wanted"]).abs().max() < 1e-9


def test_pairs_are_chosen_by_their_ches(tmp_path: Path) -> None:
    params = flows.params(tmp_path, pair={"strategy": {"kind": "lowest_ches"}})
    run(params, "ingest", "generate", "judge", "score", "pair")
    pairs, judgments = read(tmp_path, "pairs"), read(tmp_path, "judgments")
    labelled = judgments.filter((pl.col("judge") == "consensus") & (pl.col("preference") != 0.5))
    a_wins = pl.col("preference") > 0.5
    labelled = labelled.select(
        "prompt_id",
        chosen_id=pl.when(a_wins).then("response_a").otherwise("response_b"),
        rejected_id=pl.when(a_wins).then("response_b").otherwise("response_a"),
    ).join(read(tmp_path, "scores"), on=["prompt_id", "chosen_id", "rejected_id"])
    lowest = labelled.group_by("prompt_id").agg(pl.col("ches_normalized").min())
    chosen = pairs.join(labelled, on=["prompt_id", "chosen_id", "rejected_id"])
    assert chosen.height == pairs.height == lowest.height == 20
    both = chosen.join(lowest, on="prompt_id", suffix="_lowest")
    assert (both["ches_normalized"] == both["ches_normalized_lowest"]).all()


def test_failed_calls_are_rejected_and_spare_the_others(tmp_path: Path) -> None:
    failing = {"engine": "scripted", "model": "judge", "options": {"fail": ["Question 7:"]}}
    models = {**flows.SCRIPTED["models"], "failing": failing}
    params = flows.params(tmp_path, models=models, score={"model": "failing"})
    run(params, "ingest", "generate", "score")
    rejected = read(tmp_path, "dropped/score")
    assert rejected.height == 12
    assert rejected["fault"].all()
    assert set(rejected["detail"]) == {"model_error: scripted failure"}
    assert read(tmp_path, "scores").height == 19 * 12


def test_without_the_section_there_is_no_such_stage(tmp_path: Path) -> None:
    params = flows.params(tmp_path, score=None)
    with pytest.raises(ConfigError, match="no section `score`"):
        run(params, "score")
    run(params, "ingest", "generate", "judge", "pair")
    assert not (tmp_path / "data" / "scores").exists()
    by_ches = flows.params(tmp_path, score=None, pair={"strategy": {"kind": "lowest_ches"}})
    with pytest.raises(ConfigError, match="lowest_ches goes by CHES"):
        check_parts(by_ches, ["pair"])
