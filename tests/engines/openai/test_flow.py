"""Whole stages on a server that misbehaves: the job ends well and a rerun asks for what failed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest
from engines.openai.asking import QUICK
from engines.openai.loopback import MODEL, Loopback, Reaction, Request, serving
from engines.openai.test_misbehaviour import MISBEHAVIOURS

from prefdata.accounting.stats import read_stats
from prefdata.config import Params, load_params
from prefdata.engines.base import GRACE_SECONDS
from prefdata.engines.openai import faults
from prefdata.errors import ModelError
from prefdata.inference import Usage
from prefdata.pipelines.replay.run import replay
from prefdata.pipelines.run import run_stage
from prefdata.tables.catalog import Catalog

WAYS = (
    "429", "429 Retry-After", "500", "502", "cut", "length too long", "half", "silence", "list",
    "html", "no text", "NaN", "few log-probs", "filter", "too long", "400",
)  # fmt: skip
COUNT = 400
"""So many prompts: in each way, one in a hundred fails."""


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "BACKOFF_FIRST", 0.02)


def choose_fault(request: Request) -> str | None:
    """How the request fails, by the number in its prompt."""
    found = re.match(r"Question (\d+):", request.text)
    number = int(found[1]) % 100 if found else len(WAYS)
    return WAYS[number] if number < len(WAYS) else None


def misbehave(request: Request) -> Reaction | None:
    name = choose_fault(request)
    return MISBEHAVIOURS[name][0] if name else None


def flow(folder: Path, *servers: Loopback, count: int = COUNT, **options: Any) -> Params:
    """params.yaml of a flow that asks these servers; the prompts are in its table."""
    urls = [server.url for server in servers]
    options = {"base_urls": urls, "max_retries": 1, **QUICK, **options}
    flows.write_prompts(folder, count)
    path = flows.write_params(
        folder,
        buckets=2,
        models={"policy": {"engine": "openai", "model": MODEL, "options": options}},
        generate={"n": 1, "max_faulty_fraction": 0.5},
        judge={"judges": [{"kind": "pairwise", "model": "policy"}]},
        ches=None,
        filter=None,
    )
    params = load_params(path)
    run_stage("ingest", params)
    return params


def run(params: Params, stage: str = "generate") -> None:
    run_stage(stage, params)


def read_usage(params: Params) -> Usage:
    stats = read_stats(Catalog(params.data), "generate")
    assert stats is not None
    return stats.usage["generate policy"]


def read(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "data" / name / "*.parquet")


def table_bytes(folder: Path, name: str) -> dict[str, bytes]:
    """Without _table.json, whose chain holds the folder's name."""
    return {p.name: p.read_bytes() for p in (folder / "data" / name).glob("*.parquet")}


def test_a_server_is_asked_again_without_the_memo(tmp_path: Path) -> None:
    with serving() as (server,):
        params = flow(tmp_path, server, count=12)
        run(params)
        asked = sum(each.method == "POST" for each in server.requests)
        receipt = replay(params, 5, None)
        (call,) = receipt.calls
        assert (call.call, call.asked, call.drift.identical) == ("generate policy", 5, 5)
        assert sum(each.method == "POST" for each in server.requests) == asked + 5
        assert receipt.models["policy"].now == receipt.models["policy"].then[0]
    with pytest.raises(ModelError, match="no server can be reached"):
        replay(params, 5, None)


def test_one_in_a_hundred_fails_in_every_way(tmp_path: Path) -> None:
    with serving(misbehave) as (server,):
        params = flow(tmp_path, server)
        run(params)
        dropped = read(tmp_path, "dropped/generate")
        assert read(tmp_path, "responses").height == COUNT - dropped.height
        assert dropped.height == COUNT // 100 * len(WAYS)
        assert dropped["fault"].all()
        wanted = sorted(
            MISBEHAVIOURS[name][1].split(":")[0] for name in WAYS for _ in range(COUNT // 100)
        )
        assert sorted(dropped["reason"]) == wanted
        for name in WAYS:
            assert dropped["detail"].str.starts_with(MISBEHAVIOURS[name][1]).sum() >= COUNT // 100
        used = read_usage(params)
        assert (used.requests, used.cached, used.failed) == (COUNT, 0, dropped.height)
        assert used.retries == sum(MISBEHAVIOURS[n][2] > 1 for n in WAYS) * COUNT // 100

        # The server is mended: the same command asks for those that failed, and for no other.
        failed = {r.text for r in server.posts() if choose_fault(r)}
        server.react = lambda request: None
        before = len(server.posts())
        run(params)
        again = server.posts()[before:]
        assert len(again) == dropped.height
        assert {r.text for r in again} == failed

    # What came of it is what a server that never failed would have given.
    whole = tmp_path / "whole"
    whole.mkdir()
    with serving() as (server,):
        run(flow(whole, server))
    assert table_bytes(tmp_path, "responses") == table_bytes(whole, "responses")


def test_failed_verdicts_are_unscored(tmp_path: Path) -> None:
    with serving() as (server,):
        params = flow(tmp_path, server, count=60).model_copy(deep=True)
        params = params.model_copy(
            update={
                "generate": params.generate.model_copy(update={"n": 2}),
                "judge": params.judge.model_copy(update={"max_faulty_fraction": 1.0}),
            }
        )
        run(params)
        seen: list[Request] = []

        def react(request: Request) -> Reaction | None:
            seen.append(request)
            return Reaction(body=b"<html>") if "Question 7:" in request.text else None

        server.react = react
        run(params, "judge")
    judgments = read(tmp_path, "judgments").filter(pl.col("judge") == "pairwise")
    unscored = judgments.filter(pl.col("unscored").is_not_null())
    assert judgments.height == 60
    assert unscored.height == 1
    assert unscored["preference"].null_count() == 1
    assert unscored["unscored"].item() == "bad_response: the reply is not JSON"


@pytest.mark.parametrize("servers", [1, 2])
def test_a_server_that_dies(tmp_path: Path, servers: int) -> None:
    seen: list[Request] = []

    def dying(request: Request) -> Reaction | None:
        seen.append(request)
        return Reaction(die=True) if len(seen) == 60 else Reaction(delay=0.01)

    slow = lambda request: Reaction(delay=0.01)  # noqa: E731
    with serving(dying, slow) as both:
        params = flow(tmp_path, *both[:servers], count=200, concurrency=8)
        if servers == 1:
            with pytest.raises(ModelError, match="every server is gone"):
                run(params)
            finished = len(seen) - 8
            both[0].revive()
            run(params)
            used = read_usage(params)
            assert used.cached >= finished - 8
        else:
            run(params)
    assert read(tmp_path, "responses").height == 200
    assert read(tmp_path, "dropped/generate").height == 0


def test_a_server_without_logprobs(tmp_path: Path) -> None:
    def react(request: Request) -> Reaction | None:
        assert "logprobs" not in request.body
        return None

    with serving(react) as (server,):
        run(flow(tmp_path, server, count=20, logprobs=False))
    responses = read(tmp_path, "responses")
    assert responses["cumulative_logprob"].null_count() == 20
    assert responses["mean_token_logprob"].null_count() == 20
    assert responses["n_tokens"].null_count() == 0
    schema = orjson.loads(
        (Path(flows.__file__).parent.parent / "schemas/response.json").read_bytes()
    )
    kinds = {kind["type"] for kind in schema["properties"]["cumulative_logprob"]["anyOf"]}
    assert kinds == {"number", "null"}


def test_ctrl_c_keeps_what_was_finished_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(latency=0.2) as (server,):
        flow(tmp_path, server, count=600, concurrency=8)
        command = [sys.executable, "-m", "prefdata.cli.app", "generate"]
        command += ["--params", str(tmp_path / "params.yaml")]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        waited = time.monotonic()
        while len(server.posts()) < 40 and time.monotonic() - waited < 60:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stopped = time.monotonic()
        said = process.communicate(timeout=60)[1]
        assert time.monotonic() - stopped < GRACE_SECONDS
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert "Unclosed" not in said
        asked = len(server.posts())
        assert asked < 600

        server.latency = 0.0
        done = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, check=True)
        used = orjson.loads(done.stdout)["stages"]["generate"]["models"]["generate policy"]
        # Every request that was ever sent was answered, and kept.
        assert used["cached"] == asked
        assert len(server.posts()) == used["requests"] == 600
        assert {r.tries for r in server.posts()} == {0}
