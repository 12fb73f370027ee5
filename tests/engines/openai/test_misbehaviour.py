"""A server that misbehaves: each request fails or succeeds by itself, and no reply is made up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
import pytest
from engines.openai.asking import generate, prompts, started
from engines.openai.loopback import Reaction, Request, chat, serving

from prefdata.engines.openai import faults

GOOD = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "logprobs": True}


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "BACKOFF_FIRST", 0.02)


def changed(**changes: Any) -> bytes:
    """A good reply with something of its only choice replaced."""
    reply = chat(GOOD)
    reply["choices"][0] |= changes
    return orjson.dumps(reply)


def logprobs(*values: Any) -> bytes:
    raw = changed(logprobs={"content": [{"token": "x", "logprob": "HERE"} for _ in range(5)]})
    for value in values:
        raw = raw.replace(b'"HERE"', value, 1)
    return raw.replace(b'"HERE"', b"-1.0")


half = orjson.dumps(chat(GOOD))[:50]
TOO_LONG = b'{"error": {"message": "This model\'s maximum context length is 512 tokens."}}'

MISBEHAVIOURS: dict[str, tuple[Reaction, str, int]] = {
    # What the server does, how the error begins, and how often it is asked.
    "429": (
        Reaction(429, body=b'{"error": {"message": "slow down"}}'),
        "server_error: HTTP 429",
        3,
    ),
    "429 Retry-After": (Reaction(429, {"Retry-After": "0.1"}), "server_error: HTTP 429", 3),
    "408": (Reaction(408), "timeout: HTTP 408", 3),
    "500": (Reaction(500, body=b"oops"), "server_error: HTTP 500: oops", 3),
    "502": (Reaction(502, body=b"<html>Bad Gateway</html>"), "server_error: HTTP 502: <html>", 3),
    "503": (Reaction(503, {"Retry-After": "0"}), "server_error: HTTP 503", 3),
    "cut": (Reaction(body=half, length=5000, close=True), "server_error: the connection broke", 3),
    "cut before": (Reaction(body=b"", length=9, close=True), "server_error: the connection", 3),
    "length too long": (
        Reaction(body=orjson.dumps(chat(GOOD)), length=9999),
        "timeout: no whole",
        3,
    ),
    "half": (Reaction(body=half), "bad_response: the reply is not JSON", 3),
    "silence": (Reaction(silent=True), "timeout: no whole reply in 1 s", 3),
    "drip": (Reaction(drip=0.2), "timeout: no whole reply in 3 s", 3),
    "html": (Reaction(body=b"<html></html>"), "bad_response: the reply is not JSON", 3),
    "nothing": (Reaction(body=b""), "bad_response: the reply is not JSON", 3),
    "null": (Reaction(body=b"null"), "bad_response: not one choice", 3),
    "list": (Reaction(body=b"[1]"), "bad_response: not one choice", 3),
    "no choice": (Reaction(body=b'{"choices": []}'), "bad_response: not one choice", 3),
    "error inside": (Reaction(body=b'{"error": {"message": "x"}}'), "bad_response: not one", 3),
    "no message": (Reaction(body=changed(message=None)), "bad_response: the choice has no", 3),
    "no text": (
        Reaction(body=changed(message={"content": None})),
        "bad_response: the message's",
        3,
    ),
    "text is a list": (Reaction(body=changed(message={"content": ["x"]})), "bad_response: the", 3),
    "no finish": (Reaction(body=changed(finish_reason=None)), "bad_response: finish_reason", 3),
    "tool": (Reaction(body=changed(finish_reason="tool_calls")), "bad_response: finish_reason", 3),
    "filter": (Reaction(body=changed(finish_reason="content_filter")), "refused: the server's", 1),
    "no log-probs": (Reaction(body=changed(logprobs=None)), "bad_response: no log-probs", 3),
    "few log-probs": (Reaction(body=changed(logprobs={"content": []})), "bad_response: 0 log", 3),
    "NaN": (Reaction(body=logprobs(b"NaN")), "bad_response: the reply is not JSON", 3),
    "null log-prob": (Reaction(body=logprobs(b"null")), "bad_response: a log-prob is None", 3),
    "text log-prob": (Reaction(body=logprobs(b'"-1"')), "bad_response: a log-prob is '-1'", 3),
    "p above 1": (Reaction(body=logprobs(b"0.7")), "bad_response: a log-prob is 0.7", 3),
    "placeholder": (Reaction(body=logprobs(b"-9999.0")), "bad_response: a log-prob is -9999", 3),
    "no usage": (
        Reaction(body=orjson.dumps({"choices": chat(GOOD)["choices"]})),
        "bad_response: usage",
        3,
    ),
    "huge usage": (
        Reaction(body=orjson.dumps(chat(GOOD) | {"usage": {"prompt_tokens": 2**63}})),
        "bad_response: usage.prompt_tokens is 9223372036854775808",
        3,
    ),
    "too long": (Reaction(400, body=TOO_LONG), "too_long: HTTP 400: This model's maximum", 1),
    "413": (Reaction(413), "too_long: HTTP 413", 1),
    "400": (Reaction(400, body=b'{"detail": "bad word"}'), "refused: HTTP 400: bad word", 1),
    "422": (Reaction(422, body=b"[]"), "refused: HTTP 422: []", 1),
    "redirect": (Reaction(307, {"Location": "/elsewhere"}), "refused: HTTP 307", 1),
}


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_one_request_fails_alone(name: str) -> None:
    reaction, error, asked = MISBEHAVIOURS[name]

    def react(request: Request) -> Reaction | None:
        return reaction if request.text == "poison" else None

    with serving(react) as (server,), started(server, max_retries=2) as engine:
        rows = prompts("before", "poison", "after")
        results = generate(engine, rows)
        assert results["error"].is_null().to_list() == [True, False, True]
        assert results["error"][1].startswith(error)
        assert results["text"][1] is None
        assert results["cumulative_logprob"][1] is None
        assert results["n_tokens"][1] is None
        assert sum(r.text == "poison" for r in server.posts()) == asked
        assert engine.retries == asked - 1


@pytest.mark.parametrize("name", [n for n, (_, _, asked) in MISBEHAVIOURS.items() if asked > 1])
def test_what_passes_is_tried_again(name: str) -> None:
    def react(request: Request) -> Reaction | None:
        return MISBEHAVIOURS[name][0] if request.text == "x" and not request.tries else None

    with serving(react) as (server,), started(server) as engine:
        generate(engine, prompts("first"))
        results = generate(engine, prompts("x", "y"))
        assert results["error"].null_count() == 2
        assert results["text"][0].startswith("Réponse 答 to x")
        assert engine.retries == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(form: str) -> None:
    times: list[float] = []

    def react(request: Request) -> Reaction | None:
        times.append(time.monotonic())
        if request.tries:
            return None
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return Reaction(429, {"Retry-After": "1.5" if form == "seconds" else then})

    with serving(react) as (server,), started(server) as engine:
        results = generate(engine, prompts("x"))
        assert results["error"].null_count() == 1
        # A date is of whole seconds.
        assert times[1] - times[0] >= (1.5 if form == "seconds" else 0.95)


def test_a_server_that_asks_to_wait_is_left_alone_by_all() -> None:
    times: list[tuple[float, bool]] = []

    def react(request: Request) -> Reaction | None:
        limited = request.text == "0" and not request.tries
        times.append((time.monotonic(), limited))
        return Reaction(429, {"Retry-After": "1"}) if limited else Reaction(delay=0.05)

    with serving(react) as (server,), started(server, concurrency=2) as engine:
        assert generate(engine, prompts(*map(str, range(12))))["error"].null_count() == 12
        limited_at = next(at for at, limited in times if limited)
        between = [at for at, _ in times if limited_at + 0.1 < at < limited_at + 0.9]
        assert between == []


def test_retry_after_is_read_and_capped() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert faults.parse_retry_after("Sat, 21 Nov 2026 12:00:30 GMT", now) == 30
    assert faults.parse_retry_after("Sat, 21 Nov 2026 11:00:00 GMT", now) == 0
    assert faults.parse_retry_after("86400") == faults.RETRY_AFTER_MAX
    assert faults.parse_retry_after("-3") == 0
    assert [faults.parse_retry_after(v) for v in (None, "", "soon", "nan")] == [None] * 4


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens",
        "the request exceeds the available context size. try increasing the context size",
        "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9000",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_servers_say_too_long_in_many_words(said: str) -> None:
    body = orjson.dumps({"error": {"message": said, "type": "invalid_request_error"}})
    found = faults.explain_status(400, {}, body)
    assert (found.code, found.own, found.retry) == ("too_long", True, False)
    other = faults.explain_status(400, {}, b'{"message": "max_tokens is too large: 9000"}')
    assert (other.code, other.own) == ("refused", False)


def test_backoff_grows_and_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "BACKOFF_FIRST", 0.5)
    for attempt in range(20):
        pauses = [faults.compute_backoff(attempt) for _ in range(50)]
        whole = min(faults.BACKOFF_MAX, 0.5 * 2**attempt)
        assert whole / 2 <= min(pauses) < max(pauses) <= whole
