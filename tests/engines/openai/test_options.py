"""Which options are part of what a served model is, and what becomes of the key."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest
from engines.openai.loopback import MODEL, Reaction, Request, serving

from prefdata.config import load_params
from prefdata.engines.openai.config import OpenAIOptions
from prefdata.engines.openai.engine import OpenAIEngine
from prefdata.engines.registry import ENGINES
from prefdata.errors import ConfigError, ModelError

KEY = "sk-very-secret-0123456789"
URL = "http://localhost:8000/v1"
OTHER: dict[str, tuple[Any, bool]] = {
    # Another value than the default, and whether it changes the responses.
    "base_urls": (["http://elsewhere/v1", URL], False),
    "server": ("vllm", True),
    "api_key_env": ("SERVER_KEY", False),
    "concurrency": (7, False),
    "timeout_seconds": ({"read": 7}, False),
    "max_retries": (7, False),
    "max_reply_mib": (7, False),
    "wait_seconds": (7, False),
    "logprobs": (False, True),
    "top_logprobs": (7, False),
    "send_seed": (False, True),
    "max_tokens_field": ("max_completion_tokens", False),
    "embed_batch": (7, False),
    "end_of_turn": ("</s>", True),
    "extra_body": ({"reasoning_effort": "low"}, True),
}


def made(model: str = MODEL, name: str = "policy", **settings: Any) -> OpenAIEngine:
    options = {"base_urls": [URL], **settings.pop("options", {})}
    given = {"engine": "openai", "model": model, "options": options, **settings}
    return OpenAIEngine(name, ENGINES.parse(given, f"models.{name}"))


@pytest.mark.parametrize("option", OpenAIOptions.model_fields)
def test_an_option_counts_where_it_changes_responses(option: str) -> None:
    value, counts = OTHER[option]
    assert (made(options={option: value}).fingerprint != made().fingerprint) == counts


@pytest.mark.parametrize(
    ("params", "counts"),
    [
        ({"model": "other"}, True),
        ({"revision": "2026-11"}, True),
        ({"name": "judge"}, False),
        ({"device": "cpu"}, False),
        ({"dtype": "float32"}, False),
        ({"max_batch_rows": 7}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_so_does_the_name_and_the_label_of_the_weights(
    params: dict[str, Any], counts: bool
) -> None:
    assert (made(**params).fingerprint != made().fingerprint) == counts


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x/v1", "http://", f"http://me:{KEY}@x/v1", f"http://x?k={KEY}"]
)
def test_an_address_is_an_address_without_a_key(url: str) -> None:
    with pytest.raises(ConfigError, match=r"models\.policy:\n  options\.base_urls") as caught:
        made(options={"base_urls": [url]})
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("value", [KEY, "skverysecret0123456789"])
def test_a_key_in_the_place_of_the_variables_name_is_not_repeated(value: str) -> None:
    with pytest.raises((ConfigError, ModelError), match="api_key_env") as caught:
        made(options={"api_key_env": value}).start()
    assert value not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("value", ["", " ", "sk-a b", "sk-ключ", f"{KEY}\r\nX-Other: 1"])
def test_a_key_that_can_be_none_is_said(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SERVER_KEY", value)
    with pytest.raises(ConfigError, match=r"variable SERVER_KEY \(.*api_key_env\)") as caught:
        made(options={"api_key_env": "SERVER_KEY"}).check()
    assert not value.strip() or value not in str(caught.value)


def test_the_key_is_sent_and_stands_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole run, with servers that send the key back in errors of every kind."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SERVER_KEY", KEY)

    def react(request: Request) -> Reaction | None:
        number = sum(request.text.encode()) % 6
        echo = (
            f'{{"error": {{"message": "wrong key {request.headers["authorization"]}"}}}}'.encode()
        )
        kinds = [Reaction(500, body=echo), Reaction(400, body=echo), Reaction(502, body=echo * 9)]
        return kinds[number] if number < 3 and request.tries < 2 else None

    with serving(react, key=KEY) as (server,):
        options = {
            "base_urls": [server.url],
            "api_key_env": "SERVER_KEY",
            "max_retries": 1,
            "extra_body": {"user": "me"},
        }
        model = {"engine": "openai", "model": MODEL, "options": options}
        flows.write_prompts(tmp_path, 12)
        path = flows.write_params(
            tmp_path,
            buckets=1,
            models={"policy": model},
            ches=None,
            generate={"n": 2, "max_faulty_fraction": 1},
            judge={
                "judges": [{"kind": "pairwise", "model": "policy"}],
                "max_faulty_fraction": 1,
            },
            consensus={"kind": "mean", "max_faulty_fraction": 1},
            filter=None,
        )
        command = [sys.executable, "-X", "dev", "-m", "prefdata.cli.app", "run", "--verbose"]
        done = subprocess.run([*command, "--params", str(path)], capture_output=True, text=True)
        # The server's choices of a side tie.
        assert (done.returncode, "no pairs" in done.stderr) == (3, True), done.stderr
        assert all(r.headers["authorization"] == f"Bearer {KEY}" for r in server.requests)
    rows = "".join(str(pl.read_parquet(p).to_dicts()) for p in tmp_path.rglob("*.parquet"))
    assert "wrong key Bearer ***" in rows
    assert KEY not in rows
    said = done.stdout + done.stderr + caplog.text
    assert KEY not in said
    assert "HTTP Request" not in said
    assert "Unclosed" not in said
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


def test_the_engine_does_not_show_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    with serving(key=KEY) as (server,):
        engine = made(options={"base_urls": [server.url], "api_key_env": "SERVER_KEY"})
        engine.start()
        pool = engine._pool
        assert pool is not None
        assert not any(KEY in repr(x) for x in (engine, pool, pool.servers, engine.options))
        engine.close()


def test_the_recipe_can_do_all_that_it_asks_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked without any server: none is asked before work starts."""
    monkeypatch.setenv("SERVER_KEY", KEY)
    from prefdata.pipelines.run import check_params
    from prefdata.pipelines.stages.registry import STAGES

    params = load_params(root / "recipes" / "server.yaml")
    assert {model.engine for model in params.models.values()} == {"openai"}
    wanted = [stage.name for stage in STAGES if stage.is_wanted(params)]
    check_params(params, [name for name in wanted if name != "ingest"])
