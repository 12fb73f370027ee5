"""The report of `prefdata ches --data`: as text, as figures, and of rows that are no pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ches_runs import Command, lines, put, rows, values

from prefdata.cli.app import main
from prefdata.cli.ches.dataset import check_faults
from prefdata.errors import TooManyFaulty
from prefdata.reports.ches.report import ChesReport


@pytest.fixture
def ches(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> Command:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return Command(tmp_path, capsys)


def test_the_report_for_people(tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, "pairs.jsonl", [{**row, "margin": 0.5} for row in rows()])
    main(["ches", "--model", "m", "--engine", "scripted", "--data", str(data), "--quiet",
          "--memo", str(tmp_path / "memo"), "--examples", "2"])  # fmt: skip
    said = ches.capsys.readouterr().out
    for part in (
        "40 rows, prompt (text), responses as text; 40 measured",
        "what each limit would leave",
        "what would go with --max-quantile 0.9, limit",
        "source = books",
        "the riskiest pairs",
        "No pair was dropped.",
    ):
        assert part in said
    assert said.count("    rejected  ") == 2
    assert "█" in said


def test_the_figures_add_up(tmp_path: Path, ches: Command) -> None:
    some = [{**row, "score_chosen": n, "score_rejected": 0} for n, row in enumerate(rows())]
    _, said = ches(put(tmp_path, "pairs.jsonl", some), "--max-quantile", "0.9")
    kinds = {k["kind"]: k for k in said["kinds"]}
    assert kinds["all pairs"]["pairs"] == 40
    assert kinds["all pairs"]["go"] == said["choice"]["dropped"] == 4
    assert kinds["source = web"]["pairs"] == kinds["source = books"]["pairs"] == 20
    assert sum(said["histogram"]["counts"]) == 40
    curve = said["curve"]
    assert [point["kept"] for point in curve] == sorted(point["kept"] for point in curve)
    assert curve[-1]["kept"] == 40
    assert curve[-1]["mean_margin"] == pytest.approx(sum(range(40)) / 40)


def test_rows_that_are_no_pair_are_counted_and_left_out(tmp_path: Path, ches: Command) -> None:
    some = rows()
    some[7]["chosen"] = None
    data = tmp_path / "pairs.jsonl"
    data.write_bytes(lines(some[:9]) + b"{broken\n" + lines(some[9:]))
    code, said = ches(data, "--max-quantile", "1", "--out", str(tmp_path / "out"))
    assert code == 3
    assert said["unmeasured"] == {"invalid_json": 1, "missing_field": 1}
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    assert scores.filter(pl.col("reason").is_not_null())["row"].to_list() == [7, 9]
    assert len(values(tmp_path / "out" / "pairs.jsonl")) == 39
    figures = json.loads((tmp_path / "out" / "report.json").read_bytes())
    report = ChesReport.model_validate(figures)
    check_faults(report, 0.1)
    with pytest.raises(TooManyFaulty, match="2 of 41 rows could not be measured; row 7: missing"):
        check_faults(report, 0.01)


def test_ties_are_no_fault(tmp_path: Path, ches: Command) -> None:
    some = [
        {
            "prompt": f"{n}?",
            "response_1": "a b",
            "response_2": "c",
            "preference_strength": n % 3 - 1,
        }
        for n in range(9)
    ]
    code, said = ches(put(tmp_path, "pairs.jsonl", some))
    assert code == 0
    assert said["unmeasured"] == {"tie": 3}


def test_rows_that_name_a_pair_again_or_none(tmp_path: Path, ches: Command) -> None:
    some = rows(10)
    turned = {**some[4], "chosen": some[4]["rejected"], "rejected": some[4]["chosen"]}
    identical = {**some[5], "rejected": some[5]["chosen"]}
    data = put(tmp_path, "pairs.jsonl", [*some, some[0], turned, identical])
    code, said = ches(data, "--max-quantile", "1", "--out", str(tmp_path / "out"))
    assert code == 3
    assert (said["measured"], said["faults"]) == (10, 2)
    assert said["unmeasured"] == {"contradicting_annotations": 2, "identical_responses": 1}
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    assert scores["ches"][10] == scores["ches"][0]
    assert scores.filter(pl.col("reason").is_not_null())["row"].to_list() == [4, 11, 12]
    assert len(values(tmp_path / "out" / "pairs.jsonl")) == 10
