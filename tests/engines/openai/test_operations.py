"""What is sent for each operation and what is made of it; what is refused before any work."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from engines.openai.asking import engine, generate, keyed, prompts, started, together
from engines.openai.loopback import Reaction, Request, logprob, serving
from inference.counting import requests

from prefdata.engines.base import (
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
    Structure,
)
from prefdata.errors import ConfigError, ModelError

VLLM = {"server": "vllm"}
SCHEMA = '{"type": "object"}'


def conversations(*texts: str) -> pl.DataFrame:
    return keyed("choose", Options(options=("A", "B")), requests(list(texts)))


def choose(made: Any, rows: pl.DataFrame, *options: str) -> pl.DataFrame:
    return together(rows, made.choose(rows, Options(options=options)))


def completions(*rows: tuple[str, str, bool]) -> pl.DataFrame:
    frame = requests([prompt for prompt, _, _ in rows]).with_columns(
        completion=pl.Series([text for _, text, _ in rows]),
        finished=pl.Series([finished for _, _, finished in rows]),
    )
    return keyed("loglikelihood", LoglikelihoodSettings(), frame)


def test_openai_is_sent_nothing_that_is_not_its_own() -> None:
    with serving() as (server,), started(server) as made:
        generate(made, prompts("x"), temperature=0.7, top_p=0.9, max_tokens=9, stop=("\n",))
        (sent,) = server.posts()
        seed = sent.body.pop("seed")
        assert 0 <= seed < 2**31
        assert sent.body == {
            "model": "tiny",
            "messages": [{"role": "user", "content": "x"}],
            "n": 1,
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 9,
            "stop": ["\n"],
            "logprobs": True,
        }
        assert "authorization" not in sent.headers


def test_vllm_is_told_what_it_would_take_from_the_model() -> None:
    options = {"extra_body": {"chat_template_kwargs": {"thinking": False}}, "send_seed": False}
    with serving() as (server,), started(server, **VLLM, **options) as made:
        generate(made, prompts("x"), top_k=7)
        (sent,) = server.posts()
        assert (sent.body["top_k"], sent.body["min_p"]) == (7, 0.0)
        assert sent.body["repetition_penalty"] == 1.0
        assert sent.body["chat_template_kwargs"] == {"thinking": False}
        assert "seed" not in sent.body


def test_samples_of_a_prompt_have_seeds_of_their_own_and_the_same_each_time() -> None:
    with serving() as (server,), started(server) as made:
        rows = prompts("x", n=8)
        first = generate(made, rows)
        assert first["text"].n_unique() == 8
        assert generate(made, rows).equals(first)


def test_without_logprobs_their_sum_is_null() -> None:
    with serving() as (server,), started(server, logprobs=False) as made:
        results = generate(made, prompts("x"))
        assert results["error"].to_list() == results["cumulative_logprob"].to_list() == [None]
        assert results["n_tokens"].item() == 5
        assert "logprobs" not in server.posts()[0].body


@pytest.mark.parametrize(
    ("structure", "sent"),
    [
        (Structure(choice=("red", "green")), {"structured_outputs": {"choice": ["red", "green"]}}),
        (Structure(regex="[0-9]"), {"structured_outputs": {"regex": "[0-9]"}}),
        (
            Structure(json_schema=SCHEMA),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
    ],
    ids=["choice", "regex", "json_schema"],
)
def test_structures(structure: Structure, sent: dict[str, Any]) -> None:
    with serving() as (server,), started(server, **VLLM) as made:
        rows = prompts("x")
        if structure.regex:
            assert generate(made, rows, structure=structure)["error"].null_count() == 1
        else:
            # This server knows no structures, and so its answers have none.
            with pytest.raises(ModelError, match=r"none of the choices|not the JSON"):
                generate(made, rows, structure=structure)
        assert sent.items() <= server.posts()[0].body.items()


def test_choose_reads_the_options_off_the_likeliest_tokens() -> None:
    with serving() as (server,), started(server) as made:
        rows = conversations("x y", "z")
        results = choose(made, rows, "A", "B")
        assert results["logprobs"].to_list() == [[logprob("A"), logprob("B")]] * 2
        assert results["n_prompt_tokens"].to_list() == [2, 1]
        assert server.posts()[0].body["top_logprobs"] == 20
        assert server.posts()[0].body["max_tokens"] == 1


def test_an_option_that_is_not_among_them_has_no_number() -> None:
    with serving() as (server,), started(server) as made:
        # " C" is there, which is another token than "C".
        results = choose(made, conversations("x"), "A", "C")
        assert results["logprobs"].to_list() == [None]
        assert (
            results["error"].item().startswith("bad_response: no log-prob of 'C': not among the 4")
        )
        assert len(server.posts()) == 1


def test_choose_asks_vllm_for_the_options_themselves() -> None:
    with serving() as (server,), started(server, **VLLM) as made:
        results = choose(made, conversations("x"), "A", "Z")
        assert results["logprobs"].to_list() == [[logprob("A"), logprob("Z")]]
        assert server.posts()[0].body["logprob_token_ids"] == [ord("A"), ord("Z")]


def test_an_option_of_several_tokens_is_the_sum_over_them() -> None:
    with serving() as (server,), started(server, **VLLM) as made:
        results = choose(made, conversations("x"), "Yes", "N")
        yes = sum(map(logprob, "Yes"))
        assert results["logprobs"].to_list()[0] == pytest.approx([yes, logprob("N")])
        prompt = len("u:x") + 2 + len("a:")
        assert results["n_prompt_tokens"].item() == 2 * prompt + 4


def test_an_old_vllm_is_said_at_once() -> None:
    def react(request: Request) -> Reaction | None:
        request.body.pop("logprob_token_ids", None)
        return None

    with serving(react) as (server,), started(server, **VLLM) as made:
        with pytest.raises(ModelError, match="no top_logprobs") as caught:
            choose(made, conversations("x"), "A", "B")
        assert "logprob_token_ids" in caught.value.remedy


def test_score_is_the_sum_over_the_answer_and_its_end() -> None:
    with serving() as (server,), started(server, **VLLM) as made:
        rows = completions(("x", "Hé", True), ("x", "Hé", False), ("y", "", False), ("y", "", True))
        results = together(rows, made.loglikelihood(rows, LoglikelihoodSettings(per_token=True)))
        each = [logprob("H"), logprob("é")]
        end = logprob("\x01")
        assert results["token_logprobs"].to_list() == [[*each, end], each, [], [end]]
        assert results["logprob"].to_list() == [
            pytest.approx(v) for v in (math.fsum([*each, end]), sum(each), 0.0, end)
        ]
        assert results["n_tokens"].to_list() == [3, 2, 0, 1]
        assert results["n_prompt_tokens"].to_list() == [10, 9, 7, 8]
        plain = together(rows, made.loglikelihood(rows, LoglikelihoodSettings()))
        assert plain["token_logprobs"].null_count() == 4
        assert plain["logprob"].equals(results["logprob"])


def test_a_prompt_with_many_answers_becomes_tokens_once() -> None:
    with serving() as (server,), started(server, **VLLM, concurrency=1) as made:
        rows = completions(*[("the prompt", f"{i}", True) for i in range(10)])
        assert (
            together(rows, made.loglikelihood(rows, LoglikelihoodSettings()))["error"].null_count()
            == 10
        )
        asked = [r for r in server.posts("/tokenize") if r.text == "the prompt"]
        assert len(asked) == 1


def test_the_end_of_turn_can_be_given() -> None:
    with serving() as (server,), started(server, **VLLM, end_of_turn="E") as made:
        rows = completions(("x", "H", True))
        results = together(rows, made.loglikelihood(rows, LoglikelihoodSettings(per_token=True)))
        assert results["token_logprobs"].to_list() == [[logprob("H"), logprob("E")]]
    with serving() as (server,), started(server, **VLLM, end_of_turn="<end>") as made:
        rows = completions(("x", "H", True))
        with pytest.raises(ModelError, match="end-of-turn") as caught:
            list(made.loglikelihood(rows, LoglikelihoodSettings()))
        assert "options.end_of_turn" in caught.value.remedy


def texts(*given: str) -> pl.DataFrame:
    return keyed("embed", Settings(), pl.DataFrame({"text": given}))


def test_embeddings_are_of_unit_length_and_in_their_places() -> None:
    given = ["a", "bb b", "ccc", "ä", ""]
    with serving() as (server,), started(server, embed_batch=2) as made:
        rows = texts(*given)
        results = together(rows, made.embed(rows, Settings()))
        for text, vector in zip(given, results["embedding"].to_list(), strict=True):
            raw = [3.0, float(len(text)), float(sum(text.encode()) % 11)]
            assert vector == pytest.approx([x / math.hypot(*raw) for x in raw], rel=1e-6)
        assert results["n_prompt_tokens"].sum() == 6
        sent = [len(r.body["input"]) for r in server.posts("/v1/embeddings")]
        assert sorted(sent) == [1, 2, 2]


def test_one_bad_text_does_not_take_its_batch_along() -> None:
    def react(request: Request) -> Reaction | None:
        body = b'{"error": {"message": "maximum context length is 512"}}'
        return Reaction(400, body=body) if "poison" in request.body["input"] else None

    with serving(react) as (server,), started(server) as made:
        rows = texts("a", "poison", "b")
        results = together(rows, made.embed(rows, Settings()))
        assert results["error"].is_null().to_list() == [True, False, True]
        assert results["error"][1].startswith("too_long: ")
        assert results["embedding"].is_null().to_list() == [False, True, False]


REFUSED: list[tuple[dict[str, Any], Operation, Settings | None, str | None]] = [
    ({}, "hidden_sums", None, "can't hidden_sums; it can: choose, embed, generate"),
    ({}, "loglikelihood", LoglikelihoodSettings(), "set options.server: vllm"),
    ({}, "generate", Sampling(), None),
    ({}, "generate", Sampling(top_k=5), "no top_k"),
    ({}, "generate", Sampling(structure=Structure(regex="x")), "json_schema alone"),
    ({}, "generate", Sampling(structure=Structure(json_schema=SCHEMA)), None),
    ({}, "choose", Options(options=("A", "B")), None),
    ({"logprobs": False}, "choose", Options(options=("A", "B")), "options.logprobs: false"),
    (
        {"logprobs": False, **VLLM},
        "loglikelihood",
        LoglikelihoodSettings(),
        "options.logprobs: false",
    ),
    ({"logprobs": False}, "generate", Sampling(), None),
    (VLLM, "loglikelihood", LoglikelihoodSettings(), None),
    (VLLM, "generate", Sampling(top_k=5, structure=Structure(regex="x")), None),
    (VLLM, "embed", Settings(), None),
]


@pytest.mark.parametrize(("options", "operation", "settings", "reason"), REFUSED)
def test_what_is_refused_is_refused_before_any_server_is_asked(
    options: dict[str, Any], operation: Operation, settings: Settings | None, reason: str | None
) -> None:
    found = engine("http://nowhere.invalid/v1", **options).refusal(operation, settings)
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


@pytest.mark.parametrize("name", ["seed", "n", "messages", "logprobs", "stream", "temperature"])
def test_what_prefdata_sets_can_not_be_set_beside_it(name: str) -> None:
    with pytest.raises(ConfigError, match=f"options.extra_body: Value error, {name} can't be set"):
        engine("http://localhost/v1", extra_body={name: 1})
    assert engine("http://localhost/v1", extra_body={"top_k": 5})
    with pytest.raises(ConfigError, match="top_k"):
        engine("http://localhost/v1", extra_body={"top_k": 5}, **VLLM)
