"""`prefdata check`: the report as tables, JSON, page and badge; exit codes; models and judges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from checks.made import Row, make_pairs, put
from flows import write_params

from prefdata.checks.base import Found
from prefdata.checks.read import read_dataset
from prefdata.cli.app import main
from prefdata.cli.check.models import LABELS, compare_judge

HOSTILE = "<script>alert(1)</script> \x1b[31mred \u202eback"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    code = main(["check", *arguments, "--quiet"])
    return code, *capsys.readouterr()


def make_bad() -> list[Row]:
    rows = make_pairs(12)
    rows[0]["rejected"] = rows[0]["chosen"]
    rows[1]["chosen"] += f" {HOSTILE}"
    return rows


@pytest.mark.parametrize(
    ("rows", "options", "code"),
    [
        (make_pairs(4), [], 0),
        (make_pairs(4), ["--fail-on", "note", "--for", "trl_dpo"], 0),
        (make_pairs(4), ["--for", "open_instruct"], 3),
        (make_bad(), [], 3),
        (make_bad(), ["--fail-on", "never"], 0),
        (make_bad()[1:], [], 0),
        (make_bad()[1:], ["--fail-on", "warning"], 3),
        (make_pairs(4), ["--for", "nobody"], 2),
        (make_pairs(4), ["--badge", "badge.png"], 2),
        (make_pairs(4), ["--params", "x.yaml", "--judge", "pairwise"], 2),
        (make_pairs(4), ["--split", "train"], 1),
        (make_pairs(4), ["--columns", "chosen=answer"], 1),
    ],
)
def test_exit_codes(
    rows: list[Row],
    options: list[str],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, _, error = run(capsys, put(tmp_path, rows), *options)
    assert found == code, error
    assert bool(error) == (code != 0)


def test_what_is_no_dataset_is_told_how_it_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    for name, said in (("params.yaml", "prefdata check-params --params params.yaml"), ("x@y", "x")):
        code, _, error = run(capsys, name)
        assert code == 2
        assert said in error


def test_the_report_as_json_page_and_badge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page, badge = (str(tmp_path / name) for name in ("x.jsonl", "x.html", "x.svg"))
    put(tmp_path, make_bad(), "x.jsonl")
    code, out, _ = run(capsys, path, "--json", "--html", page, "--badge", badge)
    assert (code, "\x1b" in out) == (3, False)
    report: dict[str, Any] = json.loads(out)
    assert (report["rows"], report["pairs"], report["severity"]) == ({"all": 12}, 11, "error")
    assert report["counts"] == {"error": 1, "warning": 1, "note": 0}
    identical, unseen = report["findings"]
    assert (identical["check"], identical["count"], identical["of"]) == ("identical", 1, 12)
    assert identical["examples"] == [
        {"place": "row 1", "what": "the chosen and the rejected response are equal"}
    ]
    assert unseen["check"] == "unseen_characters"
    assert report["badge"] == "![prefdata check: 1 error, 1 warning](x.svg)"
    assert "1 error, 1 warning" in Path(badge).read_text()
    text = Path(page).read_text()
    assert "chosen and rejected are equal" in text
    assert "alert(1)" not in text
    code, out, _ = run(capsys, path)
    assert "takes all 12 rows as explicit prompt, as text" in out
    assert "error identical: chosen and rejected are equal" in out
    assert "\x1b" not in out


def test_a_judge_is_compared_with_the_labels_whichever_side_they_prefer(tmp_path: Path) -> None:
    dataset = read_dataset(put(tmp_path, make_pairs(4)))
    rows: list[Row] = []
    # The judge agrees, turns the label round, prefers neither, says nothing.
    for pair, sure in zip(dataset.pairs.to_dicts(), (0.9, 0.2, 0.5, None), strict=True):
        a, b = sorted((pair["chosen_id"], pair["rejected_id"]))
        wins = a == pair["chosen_id"]
        ids = {"prompt_id": pair["prompt_id"], "response_a": a, "response_b": b}
        said = sure if wins or sure is None else 1 - sure
        rows.append({**ids, "judge": LABELS, "preference": float(wins)})
        rows.append({**ids, "judge": "rubric", "preference": said})
    found = Found()
    compare_judge(dataset, found, pl.DataFrame(rows), "rubric")
    (measure,) = found.measures
    assert (measure.values["comparisons"], measure.values["unscored"]) == (3, 0.25)
    assert measure.values["agree"] == pytest.approx(1 / 3)
    (finding,) = found.findings
    assert (finding.check, finding.count, finding.of) == ("judge_disagrees", 1, 3)
    assert finding.examples == [("row 2", "P(label is right) 0.2")]


def test_models_and_judges_say_more_and_their_calls_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = write_params(tmp_path)
    path = put(tmp_path, make_pairs(12))
    given = (path, "--json", "--fail-on", "never", "--model", "m", "--engine", "scripted")
    given += ("--memo", str(tmp_path / "memo"), "--params", str(params))
    given += ("--judge", "pairwise", "--sample", "5")
    code, out, error = run(capsys, *given)
    assert code == 0, error
    measures = {each["name"]: each["values"] for each in json.loads(out)["measures"]}
    ches, judge = measures["ches"], measures["judge pairwise"]
    assert ches["pairs"] == 12
    assert ches["ches_0.1"] <= ches["ches_0.5"] <= ches["ches_0.9"]
    assert judge["comparisons"] + round(judge["unscored"] * 5) == 5
    assert (tmp_path / "memo" / "hidden_sums").is_dir()
    assert (tmp_path / "data" / "memo" / "choose").is_dir()
    code, _, error = run(capsys, path, "--params", str(params), "--judge", "nobody")
    assert code == 2
    assert "Known: pairwise, implicit_reward." in error
