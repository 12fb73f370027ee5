"""Continuous batching: results as they finish, shared prefills, stops, failures alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest

from prefdata.engines.base import (
    GRACE_SECONDS,
    LoglikelihoodSettings,
    Options,
    Sampling,
)
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.messages.columns import MESSAGES

pytestmark = pytest.mark.vllm

Seen = Callable[[VllmEngine], list[Any]]


@pytest.fixture
def stopping(policy: VllmEngine) -> Iterator[threading.Event]:
    yield policy.stopping
    policy.stopping.clear()


def asked(prompts: list[str], n: int = 1) -> pl.DataFrame:
    rows = [
        {"messages": [{"role": "user", "content": p}], "sample_index": i}
        for p in prompts
        for i in range(n)
    ]
    keys = [i.to_bytes(16, "big") for i in range(len(rows))]
    return pl.DataFrame(rows, schema_overrides={"messages": MESSAGES}).with_columns(
        key=pl.Series(keys)
    )


def questions(count: int) -> list[str]:
    return [f"What is {i} + {i * 7 % 31}, and why?" for i in range(count)]


def test_thousands_stream_and_the_slowest_holds_up_nobody(policy: VllmEngine) -> None:
    rows = asked(questions(700), 4)
    frames = list(policy.generate(rows, Sampling(max_tokens=16)))
    got = pl.concat(frames)
    assert got.height == rows.height == 2800
    assert got["key"].n_unique() == rows.height
    assert got["error"].is_null().all()
    assert len(frames) >= 4
    assert max(frame.height for frame in frames) < rows.height / 2


def test_the_samples_of_a_prompt_share_its_prefill(policy: VllmEngine, seen: Seen) -> None:
    prompts = [f"{i}: " + "Tell me a very long story about the old river. " * 10 for i in range(5)]
    # Not one after the other: the engine puts them together.
    rows = asked(prompts, 6).sort("sample_index", maintain_order=True)
    outputs = seen(policy)
    got = pl.concat(list(policy.generate(rows, Sampling(max_tokens=4))))
    assert got["error"].is_null().all()
    assert len(outputs) == 30
    fresh = [output for output in outputs if output.num_cached_tokens == 0]
    assert len(fresh) == len(prompts)
    saved = sum(output.num_cached_tokens for output in outputs)
    whole = sum(len(output.prompt_token_ids) for output in outputs)
    assert saved > 0.6 * whole


def test_a_prompt_that_does_not_fit_fails_alone(policy: VllmEngine) -> None:
    rows = asked(["Why?", "long " * 3000, "How?"])
    got = rows.select("key").join(
        pl.concat(list(policy.generate(rows, Sampling(max_tokens=4)))), on="key", how="left"
    )
    assert got["error"].is_null().to_list() == [True, False, True]
    assert got["error"][1].startswith("too_long: ")
    assert "1024" in got["error"][1]


def test_what_just_fits_does(policy: VllmEngine, reference: TransformersEngine) -> None:
    """Score takes a sequence as long as the model, one token more is too long."""
    (empty,) = reference.tokenizer(
        [
            reference.tokenizer.apply_chat_template(
                [{"role": "user", "content": ""}], add_generation_prompt=True, tokenize=False
            )
        ],
        add_special_tokens=False,
    ).input_ids
    words = 1024 - len(empty) - 2
    rows = asked(["a" + " a" * (words - 1), "a" + " a" * words]).with_columns(
        completion=pl.lit(" a"), finished=pl.lit(True)
    )
    got = pl.concat(list(policy.loglikelihood(rows, LoglikelihoodSettings()))).sort("key")
    assert got["n_prompt_tokens"].to_list() == [1024, None]
    assert (got["error"][1] or "").startswith("too_long: 1025 tokens")
    wanted = pl.concat(list(reference.loglikelihood(rows, LoglikelihoodSettings()))).sort("key")
    assert got["logprob"][0] == pytest.approx(wanted["logprob"][0], abs=1e-3)


def test_an_option_that_does_not_fit_fails_its_request_once(policy: VllmEngine) -> None:
    rows = asked(["Why?", "a" + " a" * 1005]).select("key", "messages")
    got = pl.concat(list(policy.choose(rows, Options(options=("the first", "B", " a" * 30)))))
    assert sorted(got["key"]) == sorted(rows["key"])
    errors = dict(got.select("key", "error").iter_rows())
    assert errors[rows["key"][0]] is None
    assert errors[rows["key"][1]].startswith("too_long: ")


def test_a_setting_that_vllm_refuses_is_the_requests_error(policy: VllmEngine) -> None:
    rows = asked(["Why?", "How?"])
    got = pl.concat(list(policy.generate(rows, Sampling(stop=("",)))))
    assert got.height == 2
    assert got["error"].str.starts_with("refused: stop cannot contain an empty string").all()


def test_stop_texts_end_the_answer_and_are_cut(
    policy: VllmEngine, reference: TransformersEngine
) -> None:
    rows = asked(questions(6))
    free = pl.concat(list(reference.generate(rows, Sampling(temperature=0, max_tokens=40))))
    stop = free["text"].str.extract(r"\b(\w{2,}) \w", 1).drop_nulls()[0]
    settings = Sampling(temperature=0, max_tokens=40, stop=(stop,))
    ours = pl.concat(list(policy.generate(rows, settings))).sort("key")
    theirs = pl.concat(list(reference.generate(rows, settings))).sort("key")
    same = ["key", "text", "n_tokens", "finish_reason"]
    assert ours.select(same).equals(theirs.select(same))
    assert not ours["text"].str.contains(stop, literal=True).any()
    assert (ours["n_tokens"] < free.sort("key")["n_tokens"]).any()


def test_two_threads_share_the_batch(policy: VllmEngine) -> None:
    rows = [asked(questions(20)), asked(questions(40)[20:])]
    got: dict[int, pl.DataFrame] = {}

    def ask(n: int) -> None:
        got[n] = pl.concat(list(policy.generate(rows[n], Sampling(temperature=0, max_tokens=8))))

    threads = [threading.Thread(target=ask, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = pl.concat(list(policy.generate(rows[0], Sampling(temperature=0, max_tokens=8))))
    assert [got[n].height for n in (0, 1)] == [20, 20]
    same = ["key", "text", "n_tokens", "finish_reason", "error"]
    assert got[0].sort("key").select(same).equals(alone.sort("key").select(same))


def test_a_run_that_stops_yields_what_it_finished(
    policy: VllmEngine, stopping: threading.Event
) -> None:
    rows = asked(questions(1000), 3)
    got = []
    for frame in policy.generate(rows, Sampling(max_tokens=16)):
        got.append(frame)
        if not stopping.is_set():
            stopping.set()
            stopped = time.monotonic()
    assert time.monotonic() - stopped < GRACE_SECONDS
    responses = pl.concat(got)
    assert 0 < responses.height < rows.height
    assert responses["error"].is_null().all()
    assert list(policy.generate(rows, Sampling(max_tokens=16))) == []
    stopping.clear()
    few = rows.head(5)
    assert pl.concat(list(policy.generate(few, Sampling(max_tokens=16)))).height == 5


def test_a_reader_that_leaves_leaves_nothing_running(policy: VllmEngine) -> None:
    frames = policy.generate(asked(questions(1000), 3), Sampling(max_tokens=16))
    next(frames)
    frames.close()
    few = asked(questions(3))
    assert pl.concat(list(policy.generate(few, Sampling(max_tokens=4)))).height == 3


def test_what_vllm_gives_up_is_no_answer(
    policy: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its process is asked to end: half a response must not be taken for a whole one."""
    assert policy.model is not None
    core = policy.model.loop.core
    step, given_up = core.step, []

    def half() -> list[tuple[str, Any]]:
        finished = step()
        for _, output in finished[:1]:
            output.outputs[0].finish_reason = "abort"
            given_up.append(output)
        return finished

    monkeypatch.setattr(core, "step", half)
    got = pl.concat(list(policy.generate(asked(questions(8)), Sampling(max_tokens=8))))
    failed = got.filter(pl.col("error").is_not_null())
    assert failed.height == len(given_up) > 0
    assert set(failed["error"]) == {"server_error: vLLM ended it: abort"}
    assert failed["text"].is_null().all()
