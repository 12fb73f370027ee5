"""`prefdata review` on a run: out to people, back as judgments, and used without a model call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest
from review.filling import Given, fill_argilla, fill_label_studio

from prefdata.cli.app import main
from prefdata.config import load_params
from prefdata.reports.audit import report_audit
from prefdata.review.ids import parse_id

KEYS = ("prompt_id", "response_a", "response_b")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    flows.run(flows.params(folder, 8), "ingest", "generate", "judge", "consensus")
    return folder


def review(run: Path, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    name, *others = arguments
    given = ["review", name, "--params", str(run / "params.yaml"), "--json", *others]
    assert main(given) == code
    shown = capsys.readouterr()
    return orjson.loads(shown.out) if code == 0 else shown.err


def export(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[Any, Any]:
    """The report, and the tasks by their ids, for each of which: what stands first and second."""
    out = str(run / "review")
    report = review(run, capsys, "export", "--out", out, *more)
    if "label_studio" in more:
        tasks = orjson.loads((run / "review/label_studio/tasks.json").read_bytes())
        return report, {each["data"]["task_id"]: (each, each["data"]) for each in tasks}
    records = orjson.loads((run / "review/argilla/records.json").read_bytes())
    return report, {each["id"]: (each, each["fields"]) for each in records}


def prefer_earlier(shown: Any) -> Given:
    """Somebody who likes what comes first in the dictionary, wherever it stands, and says so."""
    first, second = shown["first"], shown["second"]
    return {"choice": "first" if first < second else "second", "why": min(first, second)}


@pytest.mark.parametrize(
    ("tool", "fill"),
    [
        ("argilla", lambda tasks, given: fill_argilla(tasks, given)),
        ("argilla", lambda tasks, given: fill_argilla(tasks, given, flat=False)),
        ("label_studio", fill_label_studio),
        ("label_studio", lambda tasks, given: fill_label_studio(tasks, given, minimal=True)),
    ],
    ids=["flat", "nested", "json", "json_min"],
)
def test_judgments_are_what_people_answered(
    run: Path, capsys: pytest.CaptureFixture[str], tool: str, fill: Any
) -> None:
    report, tasks = export(run, capsys, "--to", tool, "--sample", "30", "--random-share", "0.4",
                           "--repeat", "4")  # fmt: skip
    assert report["tasks"] == len(tasks) == 34
    assert report["strata"] == {"disagreement": 18, "random": 12}
    given = {name: [{"who": 7, **prefer_earlier(shown)}] for name, (_, shown) in tasks.items()}
    answered = fill([task for task, _ in tasks.values()], given)
    (run / "answers.json").write_bytes(orjson.dumps(answered))
    out = run / "people.jsonl"
    more = ["--take-unmarked"] if tool == "argilla" else []
    got = review(run, capsys, "import", str(run / "answers.json"), "--out", str(out), *more)
    assert (got["judgments"], got["comparisons"], got["left_out"]) == (30, 30, {})
    assert got["annotators"]["7"]["repeats"] == got["annotators"]["7"]["consistent"] == 4
    texts = dict(flows.read(run, "responses").select("response_id", "text").iter_rows())
    rows = pl.read_ndjson(out).to_dicts()
    for row in rows:
        a, b = texts[row["response_a"]], texts[row["response_b"]]
        assert (row["preference"], row["annotator"]) == (float(a < b), "7")
        assert row["trace"] == min(a, b)
    assert {row["preference"] for row in rows} == {0.0, 1.0}
    # By either side, or the test would hold for a tool that never shuffles.
    firsts = [parse_id(name) for name in tasks]
    assert {each.a_is_first for each in firsts if each} == {True, False}
    # A random share, and each one's chance: so there is an estimate for all comparisons.
    assert 0 <= got["agreement"]["estimate"] <= 1


def test_people_are_a_judge_and_no_model_is_asked(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    judgments = flows.read(run, "judgments")
    keys = judgments.select(KEYS).unique().sort(KEYS).head(5).to_dicts()
    lines = [{**key, "annotator": "ann", "preference": float(n % 2)} for n, key in enumerate(keys)]
    lines.append({**lines[0], "annotator": "bob"})
    # Of a comparison that the run never had.
    lines.append({**lines[1], "response_b": "f" * 32})
    path = tmp_path / "people.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = load_params(run / "params.yaml")
    changes = [
        f"judge.judges.2={{kind: human, judgments: '{path}'}}",
        f"data={tmp_path / 'data'}",
        f"memo={before.memo}",
    ]
    params = load_params(run / "params.yaml", changes)
    stats = flows.run(params, "ingest", "generate", "judge", "consensus")
    usage = {call: used for each in stats.values() for call, used in each.usage.items()}
    assert usage
    assert all(used.cached == used.requests for used in usage.values())
    after = flows.read(tmp_path, "judgments")
    models = after.filter(pl.col("judge") != "human")
    assert models.sort(models.columns).equals(judgments.sort(judgments.columns))
    said = after.filter(pl.col("annotator").is_not_null()).select(*KEYS, "annotator", "preference")
    assert sorted(said.rows()) == sorted(tuple(line.values()) for line in lines[:-1])
    assert stats["judge"].faults == 0
    # What people have judged, they are not asked again.
    report = review(
        tmp_path, capsys, "export", "--out", str(tmp_path), "--set", f"data={tmp_path / 'data'}",
        "--params", str(run / "params.yaml"),
    )  # fmt: skip
    assert report["by_people"] == 5
    assert report["comparisons"] == report["tasks"] + 5
    audited = report_audit(params, {}, "human").judges
    assert audited["pairwise"].labels is not None
    assert audited["pairwise"].labels["comparisons"] == 5


def test_judges_are_shown_only_where_asked_for(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tool in ("argilla", "label_studio"):
        _, hidden = export(run, capsys, "--to", tool, "--sample", "3")
        _, shown = export(run, capsys, "--to", tool, "--sample", "3", "--show-judges")
        p = {
            (row["prompt_id"], row["response_a"], row["response_b"]): row["preference"]
            for row in flows.read(run, "judgments").filter(pl.col("judge") == "pairwise").to_dicts()
        }
        for name, (task, fields) in shown.items():
            assert "pairwise" not in str(hidden[name][0])
            assert "pairwise" not in str(hidden[name][1])
            parsed = parse_id(name)
            assert parsed is not None
            first = p[parsed.comparison] if parsed.a_is_first else 1 - p[parsed.comparison]
            assert f"pairwise: {first:.2f}" in fields["judges"], task


def test_what_cannot_be_done_is_said(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "judgments" in review(run, capsys, "export", "--set", f"data={tmp_path}", code=1)
    error = review(run, capsys, "import", str(tmp_path / "none.json"), code=1)
    assert "none.json" in error
    (tmp_path / "other.jsonl").write_text('{"prompt": "x"}\n[1]\nno json\n')
    got = review(
        run, capsys, "import", str(tmp_path / "other.jsonl"), "--out", str(tmp_path / "out")
    )
    assert (got["judgments"], got["left_out"]) == (0, {"no_task": 3})
    assert got["agreement"] is None
