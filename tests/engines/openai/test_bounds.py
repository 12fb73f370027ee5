"""Bodies without an end, or far larger unpacked than sent: they are not read to their end."""

from __future__ import annotations

import gzip
import tracemalloc

import orjson
import polars as pl
import pytest
from engines.openai.asking import generate, keyed, prompts, started, together
from engines.openai.loopback import Reaction, Request, serving

from prefdata.engines.base import Settings
from prefdata.engines.openai import pool

MIB = 1 << 20
BLANKS = b" " * MIB
BOMB = gzip.compress(BLANKS * 8, 1) * 16

BODIES = {
    "endless": (Reaction(body=BLANKS, endless=True), "bad_response: the reply is larger than"),
    "packed": (
        Reaction(headers={"Content-Encoding": "gzip"}, body=BOMB),
        "bad_response: the reply is larger than 1.5 MiB, which is more than was asked for "
        "(options.max_reply_mib)",
    ),
    "endless error": (
        Reaction(500, body=b"oops" * 65536, endless=True),
        "server_error: HTTP 500: oo",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_read_as_far_as_a_good_one_could_reach(name: str) -> None:
    reaction, error = BODIES[name]

    def react(request: Request) -> Reaction | None:
        return reaction if request.text == "bomb" else None

    with serving(react) as (server,), started(server, max_retries=1) as made:
        tracemalloc.start()
        try:
            results = generate(made, prompts("before", "bomb", "after"))
            assert tracemalloc.get_traced_memory()[1] < 24 * MIB
        finally:
            tracemalloc.stop()
        assert results["error"].is_null().to_list() == [True, False, True]
        assert results["error"][1].startswith(error)
        assert len(server.posts()) == 4
        assert server.sent < 32 * MIB


def test_what_is_asked_for_says_how_much_is_read() -> None:
    """A body of 2 MiB: too much for 512 tokens, not for 4,096, nor for four embeddings."""

    def react(request: Request) -> Reaction | None:
        good = server._good(request)[1]
        return Reaction(body=BLANKS * 2 + orjson.dumps(good))

    with serving(react) as (server,), started(server, max_retries=0) as made:
        rows = prompts("x")
        assert "larger than 1.5 MiB" in generate(made, rows)["error"][0]
        assert generate(made, rows, max_tokens=4096)["error"][0] is None
        texts = keyed("embed", Settings(), pl.DataFrame({"text": ["a", "b", "c", "d"]}))
        assert together(texts, made.embed(texts, Settings()))["error"].null_count() == 4
    with serving(react) as (server,), started(server, max_reply_mib=3) as made:
        assert generate(made, prompts("x"))["error"][0] is None


def test_a_list_of_models_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of it is no list: the first requests tell whether the model is served."""
    monkeypatch.setattr(pool, "MODELS_BYTES", 1000)
    models = [{"id": "other"}] * 1000
    with serving(models=models) as (server,), started(server) as made:
        assert generate(made, prompts("x"))["error"][0] is None
