"""Judges that ask models, through the stage: both models' calls remembered, traces in the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.config import Params
from prefdata.errors import ModelError
from prefdata.pipelines.stages.base import read_stats
from prefdata.pipelines.stages.registry import STAGES

JUDGES: list[dict[str, Any]] = [
    {"kind": "critique", "model": "judge"},
    {"kind": "honesty", "model": "judge", "samples": 2},
    {"kind": "listwise", "model": "judge"},
    {"kind": "reasoning", "model": "judge"},
]
MODELS = {name: {"engine": "scripted", "model": name} for name in ("policy", "reference", "judge")}


def judged(folder: Path, **changes: Any) -> tuple[Params, pl.DataFrame]:
    """The judgments, with the texts in place of the ids that they are sorted by."""
    judge = {"judges": JUDGES, "consensus": {"kind": "mean"}}
    params = flows.params(folder, 6, models=MODELS, judge=judge, generate={"n": 3}, **changes)
    for stage in ("ingest", "generate", "judge"):
        STAGES[stage](params, [], True)
    return params, pl.read_parquet(folder / "data" / "judgments" / "*.parquet")


def test_the_second_run_asks_nothing_and_buckets_change_no_label(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "eight").mkdir()
    _, found = judged(tmp_path / "one", buckets=1)
    assert found.height == 6 * 3 * (len(JUDGES) + 1)
    assert found["unscored"].null_count() == found.height
    traced = found.filter(pl.col("trace").is_not_null())["judge"].unique().sort().to_list()
    assert traced == ["critique", "honesty", "reasoning"]
    _, apart = judged(tmp_path / "eight", buckets=8)
    keys = ["prompt_id", "judge", "response_a", "response_b"]
    one, eight = (rows.sort(keys) for rows in (found, apart))
    assert one.drop("preference", "reward_a", "reward_b").equals(
        eight.drop("preference", "reward_a", "reward_b")
    )
    assert one["preference"].to_list() == pytest.approx(eight["preference"].to_list(), abs=1e-12)
    params, again = judged(tmp_path / "one", buckets=1)
    assert again.equals(found)
    usage = read_stats(params, "judge").usage
    assert set(usage) == {"choose judge", "generate judge", "generate policy"}
    assert all(asked.cached == asked.requests > 0 for asked in usage.values())


def test_an_engine_that_can_not_is_refused_before_any_work(tmp_path: Path) -> None:
    judges = [{"kind": "pointwise", "model": "judge", "verdict": "json_schema"}]
    params = flows.params(
        tmp_path, models=MODELS, judge={"judges": judges, "consensus": {"kind": "mean"}}
    )
    for stage in ("ingest", "generate"):
        STAGES[stage](params, [], True)
    with pytest.raises(ModelError, match="json_schema") as caught:
        STAGES["judge"](params, [], True)
    assert "judge.judges.0.verdict: auto" in str(caught.value)
    assert not (tmp_path / "data" / "judgments").exists()
