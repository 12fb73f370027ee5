"""Several addresses, one pool: balance, servers that die, keys and models that aren't."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from engines.openai.asking import (
    engine,
    generate,
    no_threads,
    prompts,
    started,
    until_error,
)
from engines.openai.loopback import MODEL, Loopback, Reaction, Request, serving

from prefdata.engines.base import Sampling
from prefdata.engines.openai import calls, faults, pool
from prefdata.errors import ModelError

NOBODY = "http://127.0.0.1:9/v1"
KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "BACKOFF_FIRST", 0.02)


def test_two_servers_share_the_work() -> None:
    with serving(None, None, latency=0.01) as servers, started(*servers, concurrency=8) as made:
        generate(made, prompts(*map(str, range(80))))
        assert [30 <= len(server.posts()) <= 50 for server in servers] == [True, True]


def test_the_slower_server_gets_less() -> None:
    slow, quick = (lambda r: Reaction(delay=0.2)), (lambda r: Reaction(delay=0.02))
    with serving(slow, quick) as servers, started(*servers, concurrency=8) as made:
        generate(made, prompts(*map(str, range(120))))
        counts = [len(server.posts()) for server in servers]
        assert counts[0] * 3 < counts[1]


@pytest.mark.parametrize("status", [500, 502])
def test_a_server_that_only_fails_is_left_out(status: int) -> None:
    broken = lambda r: Reaction(status)  # noqa: E731
    with serving(broken, None, latency=0.01) as servers, started(*servers) as made:
        results = generate(made, prompts(*map(str, range(300))))
        assert results["error"].null_count() == 300
        # 64 at once may go there before it is known; then hardly any.
        assert len(servers[0].posts()) < 100


def test_a_dead_address_is_left_out_from_the_start() -> None:
    with serving() as (server,), started(NOBODY, server) as made:
        assert generate(made, prompts("x"))["error"].null_count() == 1


def dying(after: int) -> Any:
    seen: list[Request] = []

    def react(request: Request) -> Reaction | None:
        seen.append(request)
        return Reaction(die=True) if len(seen) == after else Reaction(delay=0.01)

    return react


def test_the_other_server_takes_over_from_one_that_dies() -> None:
    alive = lambda r: Reaction(delay=0.01)  # noqa: E731
    with serving(dying(20), alive) as servers, started(*servers, concurrency=8) as made:
        results = generate(made, prompts(*map(str, range(200))))
        assert results["error"].null_count() == 200
        assert len(servers[0].posts()) < 30
        assert made.retries > 0


def test_a_server_that_comes_back_is_asked_again() -> None:
    with serving(dying(20)) as (server,), started(server, wait_seconds=20, concurrency=4) as made:
        reviving = threading.Timer(1.0, server.revive)
        reviving.start()
        results = generate(made, prompts(*map(str, range(100))))
        reviving.join()
        assert results["error"].null_count() == 100


def test_when_all_servers_die_what_is_finished_comes_out_and_the_rest_is_said() -> None:
    with serving(dying(40)) as (server,), started(server, concurrency=4) as made:
        rows = prompts(*map(str, range(300)))
        results, error = until_error(made.generate(rows, Sampling()))
        assert 36 <= results.height < 44
        assert results["error"].null_count() == results.height
        assert "every server is gone, for 1 s (options.wait_seconds)" in error.problem
        assert "same command" in error.remedy

        server.revive()
        made.start()
        assert generate(made, prompts("x"))["error"].null_count() == 1


@pytest.mark.parametrize("others", [0, 1])
def test_a_server_that_hangs_is_left_out(monkeypatch: pytest.MonkeyPatch, others: int) -> None:
    monkeypatch.setattr(pool, "LISTEN_SECONDS", 0.1)
    monkeypatch.setattr(pool, "SILENT_SECONDS", 0.3)
    limits = {"timeout_seconds": {"connect": 0.3, "read": 60, "total": 60}, "wait_seconds": 1.0}

    def hanging(request: Request) -> Reaction | None:
        servers[0].hung |= len(servers[0].posts()) > 30
        return Reaction(silent=True) if servers[0].hung else Reaction(delay=0.01)

    def slow(request: Request) -> Reaction | None:
        return Reaction(delay=0.01)

    with (
        serving(hanging, *[slow] * others) as servers,
        started(*servers, concurrency=8, **limits) as made,
    ):
        rows = prompts(*map(str, range(200)))
        if others:
            assert generate(made, rows)["error"].null_count() == 200
            assert made.retries > 0
        else:
            results, error = until_error(made.generate(rows, Sampling()))
            assert "every server is gone" in error.problem
            assert results["error"].null_count() == results.height == 30


def test_a_server_that_takes_its_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LISTEN_SECONDS", 0.1)
    monkeypatch.setattr(pool, "SILENT_SECONDS", 0.2)
    limits = {"timeout_seconds": {"read": 60}}
    with serving(lambda r: Reaction(delay=1.5)) as (server,), started(server, **limits) as made:
        assert generate(made, prompts("x", "y"))["error"].null_count() == 2
        assert made.retries == 0


def test_nobody_there_is_said_at_once() -> None:
    made = engine(NOBODY, "http://nowhere.invalid/v1")
    with pytest.raises(ModelError, match=r"no server can be reached: .*:9/v1: .*; .*invalid") as e:
        made.start()
    assert "base_urls" in e.value.remedy
    assert no_threads()
    made.close()


@pytest.mark.parametrize("given", [None, "sk-wrong"])
def test_a_refused_key_is_said_at_once(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    monkeypatch.setenv("SERVER_KEY", given or "")
    with serving(key=KEY) as (server,):
        made = engine(server, api_key_env="SERVER_KEY" if given else None)
        with pytest.raises(ModelError, match="key") as caught:
            made.start()
        assert "api_key_env" in caught.value.remedy
        assert "sk-" not in str(caught.value)


def test_a_key_that_is_revoked_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)

    def react(request: Request) -> Reaction | None:
        if len(server.posts()) == 30:
            server.key = "another"
        return Reaction(delay=0.01)

    with serving(react, key=KEY) as (server,):
        made = engine(server, api_key_env="SERVER_KEY", concurrency=4)
        made.start()
        results, error = until_error(made.generate(prompts(*map(str, range(500))), Sampling()))
        made.close()
        assert len(server.posts()) < 60
        assert results["error"].null_count() >= 26
        assert "HTTP 401" in error.problem
        assert KEY not in str(error)


def test_a_model_that_is_not_served_is_said_at_once() -> None:
    with serving(models=[{"id": "other"}, {"id": "another"}]) as (server,):
        made = engine(server)
        with pytest.raises(ModelError, match="does not serve 'tiny'; it serves: another, other"):
            made.start()
    with serving(lambda r: Reaction(404), models=None) as (server,), started(server) as made:
        rows = prompts(*map(str, range(500)))
        with pytest.raises(ModelError, match="HTTP 404") as caught:
            list(made.generate(rows, Sampling()))
        assert "base_urls" in caught.value.remedy
        assert len(server.posts()) < 200


def test_vllm_is_to_be_called_vllm() -> None:
    with serving(models=[{"id": MODEL, "owned_by": "vllm"}]) as (server,):
        with pytest.raises(ModelError, match=r"is vLLM\n.*options.server: vllm"):
            engine(server).start()
        with started(server, server="vllm"):
            pass


@pytest.mark.parametrize(
    ("reaction", "match", "remedy"),
    [
        (Reaction(400, body=b'{"detail": "no such field"}'), "no such field", "settings"),
        (Reaction(403, body=b'{"detail": "not for you"}'), "not for you", "api_key_env"),
        (Reaction(body=b'{"choices": [{"finish_reason": "stop", "message": {"content": "x"}}],'
                  b'"usage": {"prompt_tokens": 1, "completion_tokens": 1}}'),
         "no log-probs", "logprobs: false"),
    ],
    ids=["400", "403", "no log-probs"],
)  # fmt: skip
def test_what_fails_for_all_is_said_once(reaction: Reaction, match: str, remedy: str) -> None:
    with serving(lambda request: reaction) as (server,), started(server) as made:
        rows = prompts(*map(str, range(500)))
        with pytest.raises(ModelError, match=match) as caught:
            list(made.generate(rows, Sampling()))
        assert remedy in caught.value.remedy
        assert len(server.posts()) < 200


def test_a_rerun_of_requests_that_all_fail_fails_them_alone() -> None:
    """The canary tells a bad request from a bad server, also where no request ever succeeded."""

    def react(request: Request) -> Reaction | None:
        return Reaction(400) if request.text.startswith("poison") else None

    with serving(react) as (server,), started(server) as made:
        results = generate(made, prompts(*[f"poison {i}" for i in range(100)]))
        assert results["error"].str.starts_with("refused: HTTP 400").all()
        # Each once, the canary at first and after every so many failures in a row.
        assert len(server.posts()) <= 101 + 100 // calls.STREAK


def test_a_server_that_answers_nothing_any_more_ends_the_run() -> None:
    def react(request: Request) -> Reaction | None:
        return Reaction(500) if len(server.posts()) > 20 else None

    with serving(react) as (server,), started(server, max_retries=1, concurrency=8) as made:
        results, error = until_error(made.generate(prompts(*map(str, range(500))), Sampling()))
        assert results["error"].null_count() == 20
        assert "HTTP 500" in error.problem
        assert "same command" in error.remedy
        # Those that wait and those in flight; so many that failed for good, each of which made
        # room for another one; and the canary.
        assert len(server.posts()) <= 20 + (calls.WAITING + 2) * 8 + 2 * calls.STREAK + 3


def test_the_server_of_these_tests_is_what_it_says() -> None:
    server = Loopback()
    server.close()
    with pytest.raises(ModelError):
        engine(server).start()
