"""No pairs is no success: which stage left nothing, and which judge or setting made it so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.accounting.stats import PartStats, Stats
from prefdata.cli.app import main
from prefdata.config import Params
from prefdata.errors import NoPairs
from prefdata.pipelines.stages.registry import STAGES
from prefdata.records import SCHEMA_VERSION
from prefdata.records.base import fill_columns, polars_schema
from prefdata.records.dropped import Dropped
from prefdata.reports.no_pairs import explain_no_pairs
from prefdata.tables import TableInfo, finish, write_bucket
from prefdata.tables.catalog import TABLES, Catalog

FLOW = ("ingest", "generate", "judge", "consensus", "pair", "augment", "filter")


def explain(
    folder: Path,
    last: str,
    rows_in: int,
    reasons: dict[str, list[str]],
    filtered: Stats | None = None,
    judged: list[tuple[str, str | None]] | None = None,
    **changes: Any,
) -> NoPairs:
    """The explanation where each stage before `last` kept 8 rows, and `last` none of `rows_in`.

    Args:
        reasons: The details of the records that `last` dropped, by reason.
        judged: The judge and `unscored` of each row of data/judgments.
    """
    params: Params = flows.params(folder, **changes)
    catalog = Catalog(params.data)
    tables = {s.name: catalog.table(s.table, TABLES[s.table]) for s in STAGES if s.table}
    dropped = {name: catalog.dropped(name) for name in tables}
    for stage in FLOW:
        before = FLOW.index(stage) < FLOW.index(last)
        own = reasons if stage == last else {}
        info = TableInfo(
            record=tables[stage].record.__name__,
            schema_version=SCHEMA_VERSION,
            buckets=1,
            rows=0,
            rows_in=8 if before else rows_in if stage == last else 0,
            rows_out=8 if before else 0,
            dropped={reason: len(own[reason]) for reason in sorted(own)},
            unit="comparisons",
        )
        rows = pl.DataFrame(schema=polars_schema(tables[stage].record))
        if stage == "judge" and judged:
            found = pl.DataFrame(judged, schema=["judge", "unscored"], orient="row")
            rows = fill_columns(found, TABLES["judgments"])
            rows = rows.with_columns(pl.col(pl.String).exclude("unscored").fill_null(""))
        gone = [
            Dropped(stage=stage, reason=r, detail=d, fault=False, origin="p", record="{}")
            for r, details in own.items()
            for d in details
        ]
        write_bucket(tables[stage], 0, 1, rows)
        schema = polars_schema(Dropped)
        write_bucket(dropped[stage], 0, 1, pl.DataFrame([g.model_dump() for g in gone], schema))
        finish(tables[stage], info)
        finish(dropped[stage], info.model_copy(update={"record": "Dropped"}))
    return explain_no_pairs(params, tables, dropped, filtered or Stats())


def test_nothing_to_read(tmp_path: Path) -> None:
    said = explain(tmp_path, "ingest", 0, {})
    assert said.problem == f"no pairs: ingest found no row in {tmp_path}/prompts.jsonl"
    assert "ingest.sources" in said.remedy


def test_one_response_a_prompt(tmp_path: Path) -> None:
    said = explain(tmp_path, "judge", 0, {}, generate={"n": 1})
    assert "no prompt has two responses (1 sampled per prompt)" in said.problem
    assert "generate.n" in said.remedy


def test_all_rows_dropped_with_the_first_detail_of_the_commonest_reason(tmp_path: Path) -> None:
    reasons = {"disagreement": ["a 0.9, b 0.1"], "tie": ["a 0.5", "a 0.5, b 0.5"]}
    said = explain(tmp_path, "consensus", 3, reasons)
    assert said.problem == (
        "no pairs: consensus dropped all 3 comparisons (tie 2, disagreement 1), such as: a 0.5"
    )
    assert said.remedy.startswith("Change consensus, ")
    assert "data/dropped/consensus" in said.remedy


def test_the_judge_that_is_mostly_unscored_is_named(tmp_path: Path) -> None:
    judged = [
        *[("strict", "no_verdict: it wrote: I can't say.")] * 2,
        ("strict", "cut_off"),
        ("kind", "cut_off"),
        ("kind", None),
    ]
    reasons = {"too_few_judgments": ["strict unscored, kind 0.5"]}
    said = explain(tmp_path, "consensus", 1, reasons, judged=judged)
    assert "the judge strict left 2 Unscored (no_verdict)" in said.problem


def test_the_filter_that_dropped_the_last_is_named(tmp_path: Path) -> None:
    filtered = Stats(
        filters={
            "0 near_identical": PartStats(rows_in=5, rows_out=3),
            "1 near_duplicates": PartStats(rows_in=3, rows_out=0),
            "2 ches": PartStats(),
        }
    )
    said = explain(tmp_path, "filter", 5, {"near_duplicate": ["of pair 7"]}, filtered)
    assert "the last by filter.filters.1 (near_duplicates)" in said.problem
    assert said.remedy.startswith("Change filter.filters.1 (near_duplicates), ")


def test_a_run_without_pairs_fails_and_publishes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = flows.params(tmp_path, 2, generate={"n": 1})
    command = ["--params", str(tmp_path / "params.yaml"), "--quiet"]
    assert main(["run", *command]) == 3
    found = capsys.readouterr()
    assert "prefdata run: no pairs: judge had nothing to compare" in found.err
    assert found.out == ""
    assert not Path(params.data, "dataset").exists()
