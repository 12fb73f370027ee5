"""vLLM against the transformers engine: the same requests, the same responses.

Tolerances are ten times what was measured on the CPU build in float32: log-probs of whole responses
differ by at most 2e-5, hidden sums by 2e-6 of their length.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from prefdata.engines.base import LoglikelihoodSettings, Options, Sampling, Settings
from prefdata.engines.sentence import _find_packaged
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.engines.vllm.config import VllmConfig
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.messages.columns import MESSAGES

torch = pytest.importorskip("torch", reason="the extra [transformers] is not installed")

pytestmark = pytest.mark.vllm

Seen = Callable[[VllmEngine], list[Any]]
POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"

PROMPTS = [
    "What is 12 + 7?",
    "Tell me about the river that runs through the old town, and why its water is so cold.",
    "Why?",
    "A shop sells 3 apples for 2 dollars. How much do 12 apples cost?",
]
ANSWERS = ["It is 19.\n#### 19", "Because", "A", ""]


def answered() -> pl.DataFrame:
    rows = [
        {"messages": [{"role": "user", "content": p}], "completion": a, "finished": f}
        for p in PROMPTS
        for a in ANSWERS
        for f in (True, False)
    ]
    return keyed(pl.DataFrame(rows, schema_overrides={"messages": MESSAGES}))


def asked(n: int = 1) -> pl.DataFrame:
    rows = [
        {"messages": [{"role": "user", "content": p}], "sample_index": i}
        for p in PROMPTS
        for i in range(n)
    ]
    return keyed(pl.DataFrame(rows, schema_overrides={"messages": MESSAGES}))


def keyed(rows: pl.DataFrame) -> pl.DataFrame:
    keys = [(i * 2654435761 % 2**64).to_bytes(16, "little") for i in range(1, rows.height + 1)]
    return rows.with_columns(key=pl.Series(keys))


def collected(frames: object, rows: pl.DataFrame) -> pl.DataFrame:
    got = pl.concat(list(frames))  # type: ignore[call-overload]
    assert got.height == rows.height
    return rows.select("key").join(got, on="key", how="left", maintain_order="left")


def test_greedy_responses_are_the_same(policy: VllmEngine, reference: TransformersEngine) -> None:
    rows, settings = asked(), Sampling(temperature=0, max_tokens=40)
    ours = collected(policy.generate(rows, settings), rows)
    theirs = collected(reference.generate(rows, settings), rows)
    same = ["key", "text", "n_tokens", "finish_reason", "n_prompt_tokens", "error"]
    assert ours.select(same).equals(theirs.select(same))
    assert set(ours["finish_reason"]) == {"stop", "length"}
    assert np.allclose(ours["cumulative_logprob"], theirs["cumulative_logprob"], atol=2e-4)


def test_indicators_are_those_of_the_transformers_engine(
    policy: VllmEngine, reference: TransformersEngine
) -> None:
    rows, settings = asked(), Sampling(temperature=0, max_tokens=12, indicator_top_k=4)
    ours = collected(policy.generate(rows, settings), rows)
    theirs = collected(reference.generate(rows, settings), rows)
    assert ours["text"].equals(theirs["text"])
    for column in ("top_k_entropy", "top_k_mass"):
        assert ours[column].null_count() == 0
        assert np.allclose(ours[column], theirs[column], atol=2e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
def test_logprobs_of_samples_are_the_models_own_at_temperature_1(
    policy: VllmEngine, reference: TransformersEngine, seen: Seen, temperature: float
) -> None:
    rows = asked(4)
    settings = Sampling(temperature=temperature, top_p=0.9, top_k=50, max_tokens=40)
    outputs = seen(policy)
    got = collected(policy.generate(rows, settings), rows)
    assert got["text"].n_unique() > len(PROMPTS)
    assert len(outputs) == rows.height
    for output in outputs:
        prompt, (answer,) = output.prompt_token_ids, output.outputs
        with torch.inference_mode():
            logits = reference.model(torch.tensor([[*prompt, *answer.token_ids]])).logits[0]
        table = logits.double().log_softmax(-1)
        places = enumerate(answer.token_ids, len(prompt) - 1)
        expected = sum(table[place, token].item() for place, token in places)
        assert answer.cumulative_logprob == pytest.approx(expected, abs=2e-4)
    assert sorted(got["cumulative_logprob"]) == sorted(
        o.outputs[0].cumulative_logprob for o in outputs
    )


def test_the_key_alone_seeds_a_sample(policy: VllmEngine) -> None:
    rows, settings = asked(4), Sampling(max_tokens=24)
    first = collected(policy.generate(rows, settings), rows)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=1)
    again = collected(policy.generate(shuffled, settings), rows)
    assert first["text"].equals(again["text"])
    others = rows.with_columns(key=pl.Series([bytes([9]) + k[1:] for k in rows["key"]]))
    assert not first["text"].equals(collected(policy.generate(others, settings), others)["text"])


@pytest.mark.parametrize("per_token", [False, True])
def test_loglikelihoods_agree(
    policy: VllmEngine, reference: TransformersEngine, per_token: bool
) -> None:
    rows, settings = answered(), LoglikelihoodSettings(per_token=per_token)
    ours = collected(policy.loglikelihood(rows, settings), rows)
    theirs = collected(reference.loglikelihood(rows, settings), rows)
    counts = ["n_tokens", "n_prompt_tokens", "error"]
    assert ours.select(counts).equals(theirs.select(counts))
    assert np.allclose(ours["logprob"], theirs["logprob"], atol=2e-4)
    if per_token:
        pairs = zip(ours["token_logprobs"], theirs["token_logprobs"], strict=True)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in pairs)
        assert ours["token_logprobs"].list.len().sum() == ours["n_tokens"].sum() > 100
    else:
        assert ours["token_logprobs"].is_null().all()


@pytest.mark.parametrize(
    "options", [("A", "B"), ("A", "B", "A"), ("the first one", "B", "neither of them")]
)
def test_choices_agree(
    policy: VllmEngine, reference: TransformersEngine, options: tuple[str, ...]
) -> None:
    rows = asked().select("key", "messages")
    ours = collected(policy.choose(rows, Options(options=options)), rows)
    theirs = collected(reference.choose(rows, Options(options=options)), rows)
    assert np.allclose(ours["logprobs"].to_list(), theirs["logprobs"].to_list(), atol=2e-4)
    assert ours["n_prompt_tokens"].equals(theirs["n_prompt_tokens"])


def test_hidden_sums_agree(states: VllmEngine, reference: TransformersEngine) -> None:
    # Every prompt stands there with several responses: a cached prefix must not lose its states.
    rows = answered().filter(pl.col("finished") | (pl.col("completion") != ""))
    ours = collected(states.hidden_sums(rows, Settings()), rows)
    theirs = collected(reference.hidden_sums(rows, Settings()), rows)
    counts = ["n_tokens", "n_prompt_tokens", "error"]
    assert ours.select(counts).equals(theirs.select(counts))
    for column in ("hidden_sum", "last_hidden"):
        a, b = (np.array(frame[column].to_list()) for frame in (ours, theirs))
        assert (np.linalg.norm(a - b, axis=1) < 2e-5 * np.linalg.norm(b, axis=1)).all()


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_embeddings_agree(pooling: str) -> None:
    """A sentence model with its own mean pooling, and a causal model's last token."""
    from transformers import AutoModel, AutoTokenizer

    folder = _find_packaged("embedder") if pooling == "mean" else str(POLICY)
    options = {"runner": "embed", "enforce_eager": True, "kv_cache_memory_bytes": 64 << 20}
    engine = VllmEngine("embedder", VllmConfig(model=folder, dtype="float32", options=options))
    texts = [*PROMPTS, "A text that goes beyond what the model takes. " * 300]
    rows = keyed(pl.DataFrame({"text": texts}))
    got = collected(engine.embed(rows, Settings()), rows)
    assert engine.model is not None
    limit = engine.model.max_length
    engine.close()
    assert got["n_prompt_tokens"].max() == limit
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    for text, found in zip(texts, got["embedding"].to_list(), strict=True):
        encoded = tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)
        with torch.inference_mode():
            hidden = model(
                input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]
            ).last_hidden_state[0]
        wanted = hidden.mean(0) if pooling == "mean" else hidden[-1]
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
        assert np.allclose(found, wanted / wanted.norm(), atol=1e-5)
