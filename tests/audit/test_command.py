"""The command `prefdata audit` on a whole run, and the labels it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest
from audit.test_audit import rows

from prefdata.audit.injection import ATTACKS
from prefdata.audit.labels import read_labels
from prefdata.audit.legends import ANNOTATORS, POLICIES
from prefdata.audit.summary import summarize_judges
from prefdata.cli.app import main
from prefdata.config import load_params
from prefdata.dataset.manifest import read_manifest
from prefdata.errors import SourceError
from prefdata.records import Judgment, Response
from prefdata.reports.audit import report_audit
from prefdata.reports.base import Grid
from prefdata.tables.catalog import Catalog


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    flows.run(flows.params(folder))
    return folder


def command(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    assert main(["audit", "--params", str(run / "params.yaml"), "--json", *more]) == 0
    return orjson.loads(capsys.readouterr().out)


def test_the_command_reports_every_judge(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = command(run, capsys)["judges"]
    assert sorted(found) == ["implicit_reward", "pairwise"]
    pairwise = found["pairwise"]
    count = flows.read(run, "labels").height
    assert pairwise["comparisons"] == count > 100
    assert 0 < pairwise["position"]["flips"] < 1
    # All responses are the policy's own: there is nothing to prefer.
    assert pairwise["self_preference"]["comparisons"] == 0
    assert (
        pairwise["agreement"]["implicit_reward"]
        == found["implicit_reward"]["agreement"]["pairwise"]
    )
    assert pairwise["agreement"]["implicit_reward"]["comparisons"] == count
    assert main(["audit", "--params", str(run / "params.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "kappa" in shown
    # Every column of every table is explained under it.
    report = report_audit(load_params(run / "params.yaml"), {}, "pairwise")
    grids = [block for block in report.blocks() if isinstance(block, Grid)]
    assert len(grids) == 3
    for legend in (*(grid.legend for grid in grids), POLICIES, ANNOTATORS):
        assert all(len(meaning) > 8 for meaning in legend.values())
    assert all(list(grid.legend) == list(grid.head) for grid in grids)
    assert all(f"  {title} " in str(report) for grid in grids for title in grid.legend)
    assert "pairwise" in shown


def test_the_summary_has_a_line_for_each_judge_and_its_figures_are_the_audits(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audited = command(run, capsys)["judges"]
    assert main(["status", "--params", str(run / "params.yaml"), "--json"]) == 0
    said = orjson.loads(capsys.readouterr().out)
    lines = said["stages"]["judge"]["judges"]
    assert sorted(lines) == sorted(audited)
    for name, line in lines.items():
        assert line["judgments"] == audited[name]["comparisons"]
        assert line["ties"] == audited[name]["ties"]
        assert line["flips"] == audited[name]["position"]["flips"]
        assert line["longer"] == audited[name]["length"]["prefers_longer"]
    kappa = audited["pairwise"]["agreement"]["implicit_reward"]["kappa"]
    assert lines["pairwise"]["kappa"] == pytest.approx(kappa, abs=1e-6)
    # Two scripted judges agree by chance.
    assert len(said["warnings"]) == 2
    assert main(["status", "--params", str(run / "params.yaml")]) == 0
    shown = capsys.readouterr().out
    assert all(f"{warning}\n" in shown for warning in said["warnings"])
    assert "`prefdata audit` says more" in shown


def test_labels_calibrate_and_the_next_run_takes_the_temperatures(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    judged = pl.read_parquet(run / "data/judgments/*.parquet").filter(judge="pairwise")
    # Labels the other way round in the file, with the judge's verdicts, so it is always right.
    labels = judged.select(
        "prompt_id",
        response_a="response_b",
        response_b="response_a",
        preference=(pl.col("preference") < 0.5).cast(pl.Float64),
    )
    path, out = str(tmp_path / "labels.csv"), str(tmp_path / "calibration.json")
    labels.write_csv(path)
    wins = tmp_path / "wins.parquet"
    found = command(run, capsys, "--labels", path, "--calibrate", out, "--win-matrices", str(wins))[
        "judges"
    ]["pairwise"]
    assert found["labels"]["agree"] == 1
    assert found["labels"]["tau"] == pytest.approx(1)
    assert found["calibration"]["ece_after"] < found["calibration"]["ece_before"]
    assert sum(bin["comparisons"] for bin in found["calibration"]["curve"]) == labels.height
    assert pl.read_parquet(wins).height == 40
    # The judgments are the run's own: new temperatures ask no judge.
    (tmp_path / "data").mkdir()
    for table in ("prompts", "responses", "judgments"):
        (tmp_path / "data" / table).symlink_to(run / "data" / table)
    changes = [f"consensus={{kind: mean, calibration: {out}}}", f"data={tmp_path / 'data'}"]
    flows.run(load_params(run / "params.yaml", changes), "consensus")
    tempered, plain = flows.read(tmp_path, "labels"), flows.read(run, "labels")
    assert not tempered["preference"].equals(plain["preference"])


def test_a_file_to_calibrate_needs_labels(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["audit", "--params", str(run / "params.yaml"), "--calibrate", "c.json"]
    assert main(command) == 2
    assert "--calibrate needs --labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prompt_id,response_a\n1,2\n", "preference"),
        ("prompt_id,response_a,response_b,preference\n1,2,3,7\n", "outside 0 to 1"),
        ("prompt_id,response_a,response_b,preference\n1,2,3,much\n", "much"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(SourceError) as caught:
        read_labels(str(path), rows({"preference": 0.5}))
    assert says in f"{caught.value} {caught.value.remedy}"


def test_a_name_that_is_neither_judge_nor_file_is_refused_with_those_there_are() -> None:
    with pytest.raises(SourceError, match=r"this run \(j\)"):
        read_labels("people", rows({"preference": 0.5}))


def test_several_labels_of_a_comparison_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        '{"prompt_id":"p","response_a":"x","response_b":"y","preference":1}\n'
        '{"prompt_id":"p","response_a":"y","response_b":"x","preference":0.5}\n'
    )
    (found,) = read_labels(str(path), rows({"preference": 0.5})).to_dicts()
    assert found == {
        "prompt_id": "p", "response_a": "x", "response_b": "y", "preference": 0.75, "verdict": 1
    }  # fmt: skip


def test_the_manifest_holds_the_summary(run: Path) -> None:
    params = load_params(run / "params.yaml")
    found = read_manifest(str(run / "data/dataset")).labels.audit
    catalog = Catalog(params.data)
    judgments, responses = (
        catalog.table(name, record)
        for name, record in (("judgments", Judgment), ("responses", Response))
    )
    assert found == summarize_judges(judgments, responses)
    assert found["pairwise"]["unscored"] == 0
    assert 0 < found["pairwise"]["flips"] < 1
    assert found["implicit_reward"]["flips"] is None


def test_the_injection_probe_asks_only_what_is_new(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked() -> int:
        memo = pl.scan_parquet(run / "data/memo/choose/**/*.parquet")
        return int(memo.select(pl.len()).collect().item())

    before = asked()
    found = command(run, capsys, "--inject", "6", "--quiet")["judges"]
    assert found["implicit_reward"]["injection"] == []
    figures = found["pairwise"]["injection"]
    assert [each["attack"] for each in figures] == list(ATTACKS)
    assert {each["comparisons"] for each in figures} == {6}
    # Both orders of each attack; without one, the run has asked.
    assert asked() - before == 2 * 6 * len(ATTACKS)
    assert command(run, capsys, "--inject", "6", "--quiet")["judges"] == found
    assert asked() - before == 2 * 6 * len(ATTACKS)
