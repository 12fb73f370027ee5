"""The openai engine on a real vLLM server, against the transformers engine in this process.

Tolerances are ten times what was measured on the CPU build in float32: log-probs of whole responses
differ by at most 1e-5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from engines.openai.asking import generate, keyed, prompts, together
from engines.vllm.served import KEY, MODEL, serving
from inference.counting import requests

from prefdata.engines.base import LoglikelihoodSettings, Options, Sampling, Settings, Structure
from prefdata.engines.openai.config import OpenAIConfig
from prefdata.engines.openai.engine import OpenAIEngine
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.errors import ModelError
from prefdata.inference import Inference, Memo

torch = pytest.importorskip("torch", reason="the extra [transformers] is not installed")

from prefdata.engines.transformers.engine import TransformersEngine  # noqa: E402

pytestmark = pytest.mark.vllm

POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"
CONTEXT = 256
TEXTS = [f"Tell me {i} things about the river — naïve 漢字?" for i in range(12)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(POLICY, log, "--max-model-len", str(CONTEXT)) as address:
        yield address


def made(url: str, **options: Any) -> OpenAIEngine:
    given = {"base_urls": [url], "server": "vllm", "api_key_env": "SERVED_KEY", **options}
    return OpenAIEngine("policy", OpenAIConfig(model=MODEL, options=given))


@pytest.fixture
def engine(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIEngine]:
    monkeypatch.setenv("SERVED_KEY", KEY)
    started = made(url)
    started.start()
    yield started
    started.close()


@pytest.fixture(scope="module")
def reference() -> TransformersEngine:
    started = TransformersEngine("policy", TransformersConfig(model=str(POLICY), dtype="float32"))
    started.start()
    return started


def test_the_likeliest_responses_are_those_of_the_model(
    engine: OpenAIEngine, reference: TransformersEngine
) -> None:
    rows = prompts(*TEXTS)
    settings = Sampling(temperature=0, max_tokens=32)
    ours, theirs = (together(rows, e.generate(rows, settings)) for e in (engine, reference))
    columns = ["text", "n_tokens", "finish_reason", "n_prompt_tokens", "error"]
    assert ours.select(columns).equals(theirs.select(columns))
    assert (ours["cumulative_logprob"] - theirs["cumulative_logprob"]).abs().max() < 1e-4


def test_samples_come_from_the_seeds_of_their_keys(engine: OpenAIEngine) -> None:
    rows = prompts(*TEXTS, n=4)
    first = generate(engine, rows, max_tokens=24)
    assert first["error"].null_count() == rows.height
    assert first["text"].n_unique() == rows.height
    assert generate(engine, rows.reverse(), max_tokens=24).reverse().equals(first)


def test_top_k_of_one_is_the_likeliest(engine: OpenAIEngine) -> None:
    rows = prompts(*TEXTS)
    likeliest = generate(engine, rows, temperature=0, max_tokens=16)
    assert generate(engine, rows, top_k=1, max_tokens=16)["text"].equals(likeliest["text"])


def test_stop_texts_end_an_answer_and_are_no_part_of_it(engine: OpenAIEngine) -> None:
    results = generate(engine, prompts(*TEXTS, n=4), max_tokens=64, stop=("e",))
    assert results["error"].null_count() == results.height
    assert not results["text"].str.contains("e", literal=True).any()
    assert "stop" in set(results["finish_reason"])


def test_loglikelihoods_are_those_of_the_model(
    engine: OpenAIEngine, reference: TransformersEngine
) -> None:
    responses = [("It runs to the sea.", True), ("Naïve 漢字", False), ("", True), ("", False)]
    frame = requests(TEXTS, len(responses)).with_columns(
        completion=pl.Series([text for text, _ in responses] * len(TEXTS)),
        finished=pl.Series([finished for _, finished in responses] * len(TEXTS)),
    )
    settings = LoglikelihoodSettings(per_token=True)
    rows = keyed("loglikelihood", settings, frame)
    ours, theirs = (together(rows, e.loglikelihood(rows, settings)) for e in (engine, reference))
    columns = ["n_tokens", "n_prompt_tokens", "error"]
    assert ours.select(columns).equals(theirs.select(columns))
    assert (ours["logprob"] - theirs["logprob"]).abs().max() < 1e-4
    each = ours["token_logprobs"].explode() - theirs["token_logprobs"].explode()
    assert each.abs().max() < 1e-4


@pytest.mark.parametrize("options", [("A", "B"), ("Yes, it is", "No"), ("7", "zebra")])
def test_options_weigh_what_they_do_in_the_model(
    engine: OpenAIEngine, reference: TransformersEngine, options: tuple[str, ...]
) -> None:
    settings = Options(options=options)
    rows = keyed("choose", settings, requests(TEXTS))
    ours, theirs = (together(rows, e.choose(rows, settings)) for e in (engine, reference))
    assert ours.drop("logprobs").equals(theirs.drop("logprobs"))
    assert (ours["logprobs"].explode() - theirs["logprobs"].explode()).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("structure", "pattern"),
    [
        (Structure(choice=("red", "green")), r"red|green"),
        (Structure(regex="[0-9]{3} [ab]"), r"[0-9]{3} [ab]"),
        (Structure(json_schema='{"enum": ["A", "B", "tie"]}'), r'"(A|B|tie)"'),
    ],
    ids=["choice", "regex", "json_schema"],
)
def test_structures_hold(engine: OpenAIEngine, structure: Structure, pattern: str) -> None:
    results = generate(engine, prompts(*TEXTS), structure=structure, max_tokens=32)
    assert results["error"].null_count() == results.height
    assert all(re.fullmatch(pattern, text) for text in results["text"])
    if structure.json_schema:
        assert {json.loads(text) for text in results["text"]} <= {"A", "B", "tie"}


def test_an_over_long_prompt_fails_alone(engine: OpenAIEngine) -> None:
    results = generate(engine, prompts("a", "long " * 2 * CONTEXT, "b"), max_tokens=8)
    assert results["error"].is_null().to_list() == [True, False, True]
    assert results["error"][1].startswith("too_long: HTTP 400: ")
    assert engine.retries == 0


def test_what_the_settings_ask_too_much_is_said_once(engine: OpenAIEngine) -> None:
    with pytest.raises(ModelError, match="max_tokens"):
        generate(engine, prompts(*TEXTS), max_tokens=2 * CONTEXT)


def test_a_wrong_key_and_a_wrong_dialect_are_said(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVED_KEY", "wrong")
    with pytest.raises(ModelError, match="refuses the key"):
        made(url).start()
    monkeypatch.setenv("SERVED_KEY", KEY)
    with pytest.raises(ModelError, match="is vLLM"):
        made(url, server="openai").start()


def test_a_rerun_asks_for_nothing(engine: OpenAIEngine, tmp_path: Path) -> None:
    rows = requests(TEXTS, 4)
    settings = Sampling(max_tokens=16)
    first = Inference({"policy": engine}, Memo(str(tmp_path)))
    wanted = first.ask("policy", "generate", settings, rows)
    engine.close()
    again = Inference({"policy": engine}, Memo(str(tmp_path)))
    assert again.ask("policy", "generate", settings, rows).equals(wanted)
    assert again.usage["generate policy"].cached == rows.height


def test_embeddings_are_those_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy as an embedder: vLLM takes the last token's last hidden state."""
    from transformers import AutoModel, AutoTokenizer

    monkeypatch.setenv("SERVED_KEY", KEY)
    texts = ["a river", "The quick brown fox — naïve 漢字", "7", *TEXTS]
    rows = keyed("embed", Settings(), pl.DataFrame({"text": texts}))
    long = keyed("embed", Settings(), pl.DataFrame({"text": ["a", "long " * 2 * CONTEXT, "b"]}))
    more = ("--runner", "pooling", "--convert", "embed", "--max-model-len", str(CONTEXT))
    with serving(POLICY, tmp_path / "log", *more) as address:
        embedder = made(address, embed_batch=4)
        embedder.start()
        ours = together(rows, embedder.embed(rows, Settings()))
        failed = together(long, embedder.embed(long, Settings()))
        embedder.close()
    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    model = AutoModel.from_pretrained(POLICY, dtype=torch.float32).eval()
    counts = []
    for text, vector in zip(texts, ours["embedding"].to_list(), strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        counts.append(ids.shape[1])
        with torch.inference_mode():
            last = torch.nn.functional.normalize(model(ids).last_hidden_state[0, -1], dim=0)
        assert float(torch.dot(last, torch.tensor(vector))) > 1 - 1e-5
    assert ours["n_prompt_tokens"].sum() == sum(counts)
    assert failed["error"].is_null().to_list() == [True, False, True]
    assert failed["error"][1].startswith("too_long: ")
