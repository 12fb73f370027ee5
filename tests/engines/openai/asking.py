"""Making the engine and asking it, for the tests in this folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
from engines.openai.loopback import MODEL, Loopback
from inference.counting import requests

from prefdata.engines.base import OPERATIONS, Operation, Sampling, Settings
from prefdata.engines.openai.engine import OpenAIEngine
from prefdata.engines.registry import ENGINES
from prefdata.errors import ModelError
from prefdata.inference.keys import request_keys

QUICK = {"timeout_seconds": {"connect": 2.0, "read": 1.0, "total": 3.0}, "wait_seconds": 1.0}


def engine(*servers: Loopback | str, **options: Any) -> OpenAIEngine:
    """An engine that asks these servers, with short time limits."""
    urls = [s if isinstance(s, str) else s.url for s in servers]
    given = {"base_urls": urls, **QUICK, **options}
    config = ENGINES.parse({"engine": "openai", "model": MODEL, "options": given}, "models.policy")
    return OpenAIEngine("policy", config)


@contextmanager
def started(*servers: Loopback | str, **options: Any) -> Iterator[OpenAIEngine]:
    """The same, started, and closed at the end."""
    made = engine(*servers, **options)
    made.start()
    try:
        yield made
    finally:
        made.close()


def prompts(*texts: str, n: int = 1) -> pl.DataFrame:
    """Requests for `n` samples of each prompt, keyed."""
    rows = requests(list(texts), n)
    return keyed("generate", Sampling(), rows.drop("prompt_id"))


def keyed(operation: Operation, settings: Settings, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their keys."""
    columns = OPERATIONS[operation].request
    keys = request_keys("fingerprint", operation, settings, rows, columns)
    return rows.select(*columns).with_columns(keys)


def generate(made: OpenAIEngine, rows: pl.DataFrame, **settings: Any) -> pl.DataFrame:
    """All results, in the rows' order."""
    return together(rows, made.generate(rows, Sampling(**settings)))


def together(rows: pl.DataFrame, frames: Iterator[pl.DataFrame]) -> pl.DataFrame:
    """The frames as one, in the rows' order."""
    return rows.select("key").join(pl.concat(list(frames)), on="key", maintain_order="left")


def until_error(frames: Iterator[pl.DataFrame]) -> tuple[pl.DataFrame, ModelError]:
    """What came out, and the ModelError that ended it."""
    found = []
    try:
        for frame in frames:
            found.append(frame)
    except ModelError as error:
        return pl.concat(found) if found else pl.DataFrame(), error
    raise AssertionError("no ModelError")


def no_threads() -> bool:
    """No thread of any engine is left."""
    return not any(t.name.startswith("requests to") for t in threading.enumerate())
