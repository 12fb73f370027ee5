"""Several addresses, one pool: bounds, balance, servers that die, keys and models that aren't."""

from __future__ import annotations

import threading
import time
from typing import Any

import polars as pl
import pytest
from engines.openai.asking import (
    QUICK,
    engine,
    generate,
    prompts,
    started,
    together,
    until_error,
)
from engines.openai.loopback import MODEL, Loopback, Reaction, Request, said, serving

from prefdata.engines import base
from prefdata.engines.base import Sampling, request_key_seed
from prefdata.engines.server import calls, faults, pool
from prefdata.engines.server.asks import SEED_MASK
from prefdata.errors import ModelError

NOBODY = "http://127.0.0.1:9/v1"
KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "BACKOFF_FIRST", 0.02)


def test_concurrency_is_held_and_connections_are_used_again() -> None:
    with serving(latency=0.01) as (server,), started(server, concurrency=5) as made:
        results = generate(made, prompts(*map(str, range(100))))
        assert results["error"].null_count() == 100
        assert server.most_in_flight == 5
        assert server.connections <= 6


def test_two_calls_at_once_share_the_bound() -> None:
    with serving(latency=0.02) as (server,), started(server, concurrency=4) as made:
        found: list[pl.DataFrame] = []

        def ask(name: str) -> None:
            found.append(generate(made, prompts(*[f"{name} {i}" for i in range(30)])))

        threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [results["error"].null_count() for results in found] == [30, 30]
        assert server.most_in_flight == 4


def test_answers_find_their_requests_in_whatever_order_they_come() -> None:
    def react(request: Request) -> Reaction | None:
        return Reaction(delay=(hash(request.text) % 7) * 0.02)

    texts = [f'prompt {i} — ünïcode 漢字 🜁 "quoted" \\ \n' for i in range(40)]
    with serving(react) as (server,), started(server) as made:
        rows = prompts(*texts, n=2)
        frames = list(made.generate(rows, Sampling()))
        came = pl.concat(frames)["key"].to_list()
        assert came != rows["key"].to_list()
        results = together(rows, iter(frames))
        for (messages, key), text in zip(
            rows.select("messages", "key").iter_rows(), results["text"], strict=True
        ):
            seed = request_key_seed(key) & SEED_MASK
            assert text == said(messages[0]["content"], seed)


def test_finished_work_is_handed_on_within_a_second() -> None:
    def react(request: Request) -> Reaction | None:
        return Reaction(delay=2.0) if request.text == "slow" else None

    with serving(react) as (server,), started(server, timeout_seconds={"read": 9}) as made:
        begun = time.monotonic()
        frames = made.generate(prompts("a", "b", "slow"), Sampling())
        assert next(frames).height == 2
        assert time.monotonic() - begun < 1.5
        assert next(frames).height == 1


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


def test_on_stopping_what_is_in_flight_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.STOPPING, "is_set", lambda: len(server.posts()) >= 10)
    with serving(latency=0.3) as (server,), started(server, concurrency=4) as made:
        results = pl.concat(list(made.generate(prompts(*map(str, range(300))), Sampling())))
        assert results["error"].null_count() == results.height == len(server.posts())
        assert results.height < 20


def test_on_stopping_nobody_is_waited_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "GRACE_SECONDS", 2.0)

    def react(request: Request) -> Reaction | None:
        return Reaction(silent=True) if request.text == "1" else None

    limits = {"timeout_seconds": {**QUICK["timeout_seconds"], "read": 60, "total": 60}}
    with serving(react) as (server,), started(server, **limits) as made:
        frames = made.generate(prompts("0", "1"), Sampling())
        assert next(frames).height == 1
        begun = time.monotonic()
        monkeypatch.setattr(base.STOPPING, "is_set", lambda: True)
        assert list(frames) == []
        assert time.monotonic() - begun < 3.5


def test_a_consumer_that_goes_away_ends_the_requests() -> None:
    with serving(latency=0.05) as (server,), started(server, concurrency=4) as made:
        frames = made.generate(prompts(*map(str, range(2000))), Sampling())
        next(frames)
        frames.close()
        time.sleep(0.3)  # what had been sent arrives
        asked = len(server.posts())
        time.sleep(0.3)
        assert len(server.posts()) == asked
        assert generate(made, prompts("x"))["error"].null_count() == 1


def test_close_ends_thread_and_connections_and_start_may_follow() -> None:
    with serving() as (server,):
        made = engine(server)
        made.start()
        made.start()
        assert generate(made, prompts("x"))["error"].null_count() == 1
        made.close()
        made.close()
        assert no_threads()
        time.sleep(0.2)
        assert server.in_flight == 0
        assert not server._writers
        made.start()
        assert generate(made, prompts("x"))["error"].null_count() == 1
        made.close()


@pytest.mark.parametrize("stopping", [True, False])
def test_close_lets_another_thread_have_what_is_in_flight(
    monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    """As when one bucket's end ends the run and another bucket is still worked on."""
    found: list[pl.DataFrame] = []
    errors: list[ModelError] = []

    def ask() -> None:
        try:
            found.extend(made.generate(prompts(*map(str, range(300))), Sampling()))
        except ModelError as error:
            errors.append(error)

    with serving(latency=0.3) as (server,):
        made = engine(server, concurrency=4)
        made.start()
        asking = threading.Thread(target=ask)
        asking.start()
        while len(server.posts()) < 10:
            time.sleep(0.01)
        if stopping:
            monkeypatch.setattr(base.STOPPING, "is_set", lambda: True)
        made.close()
        asking.join(10)
        assert pl.concat(found)["error"].null_count() == len(server.posts()) < 20
        said = ["closed while it was asked" in error.problem for error in errors]
        assert said == ([] if stopping else [True])
        assert no_threads()


def test_nothing_asked_is_nothing_sent() -> None:
    with serving() as (server,), started(server) as made:
        assert list(made.generate(prompts("x").clear(), Sampling())) == []
        assert server.posts() == []


def no_threads() -> bool:
    return not any(t.name.startswith("requests to") for t in threading.enumerate())


def test_the_server_of_these_tests_is_what_it_says() -> None:
    server = Loopback()
    server.close()
    with pytest.raises(ModelError):
        engine(server).start()
