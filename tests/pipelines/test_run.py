"""One request in a hundred fails, in every way: the run ends well, and a rerun asks for those."""

from __future__ import annotations

from pathlib import Path

import flows
import polars as pl
import pytest
from failing import ERRORS, FailingEngine, error_of

from prefdata.cli import app as cli
from prefdata.engines import registry as lookup
from prefdata.pipelines.stages import base as flow

CODES = {error.partition(":")[0] for error in ERRORS}


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A flow over 600 prompts, where both judges must have a judgment."""
    # Engines are kept between runs, also those of another test that are called the same.
    monkeypatch.setattr(flow, "_engines", {})
    monkeypatch.setitem(lookup.ENGINES, "scripted", f"{FailingEngine.__module__}:FailingEngine")
    monkeypatch.setattr(FailingEngine, "asked", [])
    flows.write_prompts(tmp_path, 600)
    judge = {**flows.SCRIPTED["judge"], "max_faulty_fraction": 0.2}
    judge["consensus"] = {"kind": "mean", "min_judgments": 2}
    return str(
        flows.write_params(
            tmp_path,
            generate={"n": 4, "max_faulty_fraction": 0.05},
            judge=judge,
            score=None,
            filter={**flows.SCRIPTED["filter"], "max_faulty_fraction": 0.1},
        )
    )


def run(params: str) -> list[bytes]:
    """What a run asks for."""
    FailingEngine.asked.clear()
    assert cli.main(["run", "--params", params, "--quiet"]) == 0
    return list(FailingEngine.asked)


def test_failures_are_set_aside_with_their_reasons_and_asked_again_alone(
    tmp_path: Path, params: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = run(params)
    failing = {key for key in asked if error_of(key)}
    assert len(set(asked)) == len(asked)
    assert 0.005 < len(failing) / len(asked) < 0.015

    data = tmp_path / "data"
    fell = pl.read_parquet(data / "dropped" / "generate" / "*.parquet")
    assert fell.height == sum(key in failing for key in asked[:2400])
    assert fell["fault"].all()
    assert set(fell["reason"]) <= CODES
    assert set(fell["detail"]) <= set(ERRORS)
    assert fell["reason"].equals(fell["detail"].str.extract(r"^(\w+): ").alias("reason"))
    judgments = pl.read_parquet(data / "judgments" / "*.parquet")
    unscored = judgments.drop_nulls("unscored")
    assert {text.partition(":")[0] for text in unscored["unscored"]} == CODES
    assert unscored["preference"].null_count() == unscored.height
    undecided = pl.read_parquet(data / "dropped" / "judge" / "*.parquet")
    assert undecided.filter(reason="too_few_judgments")["fault"].all()
    assert (data / "dataset" / "COMPLETED").exists()

    # Again, still broken: those that failed, and no other.
    assert set(run(params)) == failing

    # Mended: those that failed, and what their responses lead to.
    monkeypatch.setattr(FailingEngine, "broken", False)
    mended = set(run(params))
    assert failing <= mended
    assert not mended & (set(asked) - failing)
    assert pl.read_parquet(data / "dropped" / "generate" / "*.parquet").is_empty()
    assert run(params) == []
