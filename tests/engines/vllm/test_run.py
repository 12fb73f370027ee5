"""A whole run with the demo policy on vLLM: responses, a judge, CHES, the dataset; then again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

pytestmark = pytest.mark.vllm

POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"
SMALL = {"enforce_eager": True, "kv_cache_memory_bytes": 64 << 20}


def run(params: Path, *more: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "prefdata.cli.app", "run", "--params", str(params), "--json", *more],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # Of vLLM nothing is to be seen unless something is wrong.
    assert not re.search(r"vllm|warning|\[[WE]\d", done.stderr, re.IGNORECASE), done.stderr
    return orjson.loads(done.stdout)


def model(**options: Any) -> dict[str, Any]:
    return {
        "engine": "vllm",
        "model": str(POLICY),
        "dtype": "float32",
        "options": {**SMALL, **options},
    }


def test_a_whole_run(tmp_path: Path) -> None:
    flows.write_prompts(tmp_path, 12)
    models = {"policy": model(), "policy_states": model(runner="hidden_sums")}
    ches = {"kind": "ches", "model": "policy_states", "max_quantile": 0.8}
    params = flows.write_params(
        tmp_path,
        models={**models, "reference": {**model(), "model": str(POLICY.parent / "reference")}},
        generate={"n": 3, "max_tokens": 32},
        ches=None,
        filter={"filters": [{"kind": "near_identical"}, ches]},
    )
    first = run(params)["stages"]
    assert first["generate"]["models"]["generate policy"]["requests"] == 36
    assert first["judge"]["models"]["choose policy"]["requests"] > 0
    assert first["judge"]["models"]["loglikelihood reference"]["requests"] > 0
    assert first["filter"]["models"]["hidden_sums policy_states"]["failed"] == 0
    assert first["export"]["out"] > 0
    tables = {
        name: pl.read_parquet(tmp_path / "data" / name / "*.parquet")
        for name in ("responses", "judgments", "filtered")
    }
    assert tables["responses"].height == 36

    again = run(params, "--quiet")["stages"]
    for stage in ("generate", "judge", "filter"):
        for used in again[stage]["models"].values():
            assert used["cached"] == used["requests"] > 0
    for name, table in tables.items():
        assert table.equals(pl.read_parquet(tmp_path / "data" / name / "*.parquet"))


def test_a_stage_that_needs_another_runner_says_so_before_any_work(tmp_path: Path) -> None:
    flows.write_prompts(tmp_path, 3)
    params = flows.write_params(
        tmp_path,
        models={"policy": model()},
        judge={"judges": [{"kind": "pairwise", "model": "policy"}]},
    )
    command = [sys.executable, "-m", "prefdata.cli.app", "run", "--params", str(params)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "options.runner hidden_sums" in done.stderr
    assert not (tmp_path / "data").exists()
