"""An ensemble of reward models through the whole flow: its spread reaches the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.pipelines.stages.registry import STAGES


def judged(folder: Path, **more: Any) -> pl.DataFrame:
    """The dataset's judgments, one row each, after all stages."""
    judges = [
        {"kind": "reward_model", "models": ["policy", "reference"], **more},
        {"kind": "pairwise", "model": "policy"},
    ]
    params = flows.params(folder, judge={"judges": judges, "consensus": {"kind": "mean"}})
    for stage in STAGES:
        if stage != "reward-head":
            STAGES[stage](params, [], True)
    rows = pl.concat(
        pl.read_parquet(f, columns=["pair_id", "judgments"])
        for f in (folder / "data/dataset/data").glob("*.parquet")
    )
    return rows.explode("judgments", empty_as_null=True).unnest("judgments")


def test_the_spread_of_an_ensemble_stands_beside_its_scores(tmp_path: Path) -> None:
    judgments = judged(tmp_path)
    ensemble = judgments.filter(pl.col("judge") == "reward_model")
    assert ensemble.height > 0
    assert (ensemble["spread"] > 0).all()
    assert judgments.filter(pl.col("judge") == "pairwise")["spread"].null_count() == ensemble.height
    table = pl.read_parquet(tmp_path / "data/judgments/*.parquet")
    said = table.filter(pl.col("judge") == "reward_model")
    wanted = said["trace"].str.extract(r"standard deviation ([\d.e-]+)").cast(pl.Float64)
    assert said["spread"].to_list() == pytest.approx(wanted.to_list(), abs=1e-4)
    assert set(ensemble["spread"]) <= set(said["spread"])


def test_heads_apart_stand_in_the_dataset_by_their_names(tmp_path: Path) -> None:
    judgments = judged(tmp_path, heads=["wit"], apart=True)
    said = judgments.select("judge", "dimension").unique().sort("judge").rows()
    assert said == [("pairwise", "helpfulness"), ("reward_model", "wit")]
