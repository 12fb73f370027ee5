"""What was asked and what it cost: by stage and model, the same in the manifest for equal runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prefdata.cli.app import main
from prefdata.config import Params
from prefdata.dataset.manifest import read_manifest
from prefdata.engines.config import PricesParams
from prefdata.inference.usage import Usage
from prefdata.pipelines.stages.registry import STAGES
from prefdata.reports.costs import Cost
from prefdata.reports.funnel import report_funnel
from prefdata.tables.catalog import TABLES

PRICES = {"input_per_million": 0.15, "output_per_million": 0.60}
MODELS: dict[str, Any] = {
    "policy": {"engine": "scripted", "model": "policy", "prices": PRICES},
    "reference": {
        "engine": "scripted",
        "model": "reference",
        "prices": {"input_per_million": 2, "currency": "EUR"},
    },
}


def run(params: Params) -> bytes:
    """Run all stages; the manifest."""
    flows.run(params)
    return (flows.find_version(Path(params.data).parent) / "manifest.json").read_bytes()


def add_costs(params: Params) -> list[Cost]:
    """What the last run of all stages cost, by currency."""
    return report_funnel(params, STAGES, TABLES, {}).cost


def test_the_manifest_says_what_all_costs_if_asked_once_however_the_run_went(
    tmp_path: Path,
) -> None:
    params = flows.params(tmp_path, models=MODELS, ches=None)
    fresh = run(params)
    spent = add_costs(params)
    assert run(params) == fresh
    saved = add_costs(params)
    assert [(c.currency, c.spent) for c in saved] == [("EUR", 0), ("USD", 0)]
    assert [c.saved for c in saved] == [c.spent for c in spent] > [0, 0]
    # Half of the responses are forgotten: what is asked anew and what is not make the same.
    for segment in sorted(Path(str(params.memo)).rglob("*.parquet"))[::2]:
        segment.unlink()
    assert run(params) == fresh
    mixed = add_costs(params)
    assert all(c.spent > 0 and c.saved > 0 for c in mixed)
    assert [c.spent + c.saved for c in mixed] == pytest.approx([c.spent for c in spent], abs=1e-5)

    # Without a memo all is asked again, and the same is said.
    assert run(params.model_copy(update={"memo": None})) == fresh
    assert all(c.saved == 0 < c.spent for c in add_costs(params))

    manifest = read_manifest(f"{params.data}/dataset")
    models = {s.stage: s.models for s in manifest.stages}
    assert {stage: list(found) for stage, found in models.items() if found} == {
        "generate": ["generate policy"],
        "judge": ["choose policy", "loglikelihood policy", "loglikelihood reference"],
        "filter": ["hidden_sums policy"],
    }
    made = models["generate"]["generate policy"]
    assert made.requests == 80
    assert made.cost == pytest.approx(
        (made.tokens_in * 0.15 + made.tokens_out * 0.6) / 1e6, abs=1e-6
    )
    read = models["judge"]["loglikelihood reference"]
    assert (read.cost, read.currency) == (pytest.approx(read.tokens_in * 2 / 1e6), "EUR")
    assert read.tokens_out == 0


def test_without_prices_there_are_tokens_and_no_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flows.params(tmp_path)
    assert main(["run", "--quiet", "--params", str(tmp_path / "params.yaml")]) == 0
    table = capsys.readouterr().out
    assert "cost" not in table
    (line,) = [row for row in table.splitlines() if "loglikelihood reference" in row]
    # The same text to the same prompt is asked about once.
    asked = flows.read(tmp_path, "responses").n_unique(["prompt_id", "text"])
    assert line.split()[:6] == ["judge", "loglikelihood", "reference", f"{asked}", "0", "0"]
    assert main(["status", "--json", "--params", str(tmp_path / "params.yaml")]) == 0
    figures = orjson.loads(capsys.readouterr().out)
    assert figures["cost"] == []
    used = figures["stages"]["judge"]["models"]["loglikelihood reference"]
    assert used["cost"] is None
    assert used["requests"] == asked


def test_the_summary_says_what_it_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flows.params(tmp_path, models=MODELS, ches=None)
    command = ["--quiet", "--params", str(tmp_path / "params.yaml")]
    assert main(["run", *command]) == main(["run", *command, "--json"]) == 0
    table, _, last = capsys.readouterr().out.rpartition("\n{")
    figures = orjson.loads("{" + last)
    (usd,) = [c for c in figures["cost"] if c["currency"] == "USD"]
    assert usd["spent"] == 0 < usd["saved"]
    assert f"{usd['saved']:.4f} USD (the memo saved 0.0000)" in table
    by_stage = [u["cost"] for s in figures["stages"].values() for u in s["models"].values()]
    saved = sum(c["saved"] for c in by_stage if c["currency"] == "USD")
    assert saved == pytest.approx(usd["saved"])


counts = st.integers(0, 10**6)


@given(counts, counts, st.integers(0, 100))
def test_two_runs_of_one_job_count_as_one(fresh: int, cached: int, more: int) -> None:
    """The second finds what the first left, and asks for a few more."""
    first = Usage(requests=fresh + cached, cached=cached, tokens_in=fresh, cached_tokens_in=cached)
    second = Usage(
        requests=fresh + cached + more,
        cached=fresh + cached,
        tokens_in=more,
        cached_tokens_in=fresh + cached,
    )
    both = first.add_rerun(second)
    assert (both.requests, both.cached) == (fresh + cached + more, cached)
    assert (both.tokens_in, both.cached_tokens_in) == (fresh + more, cached)
    assert both.count_asked() == second.count_asked()


@pytest.mark.parametrize(
    "prices", [{"input_per_million": -1}, {"input": 1}, {"currency": ""}], ids=str
)
def test_prices_are_checked(prices: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PricesParams(**prices)
