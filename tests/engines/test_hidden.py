"""Packed hidden sums against a plain float64 evaluation of Definition 2 (arXiv 2410.08847)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from prefdata.engines.base import Settings
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.messages.columns import MESSAGES

torch = pytest.importorskip("torch", reason="the extra [transformers] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra is not installed")

from prefdata.engines.transformers.hidden import HiddenSums  # noqa: E402
from prefdata.engines.transformers.packing import index_spans  # noqa: E402

SMALL = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
LLAMA = SMALL | {"intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 256}


def model(kind: str, **config: Any) -> Any:
    """A small model with random weights, large enough that every token counts."""
    torch.manual_seed(3)
    made = transformers.AutoConfig.for_model(kind, **config)
    found = transformers.AutoModelForCausalLM.from_config(made, dtype=torch.float32).eval()
    with torch.no_grad():
        for weight in found.parameters():
            if weight.dim() > 1:
                weight.mul_(4)
    return found


MODELS = {
    "llama": lambda: model("llama", **LLAMA),
    "qwen3": lambda: model("qwen3", **LLAMA, head_dim=16),
    "mistral, short window": lambda: model("mistral", **LLAMA, sliding_window=30),
    "gemma2, softcap": lambda: model("gemma2", **LLAMA, head_dim=16, sliding_window=64),
    "gpt2": lambda: model("gpt2", vocab_size=97, n_embd=32, n_layer=2, n_head=4),
    "gpt_neox": lambda: model("gpt_neox", **SMALL, intermediate_size=48),
    "bloom, alibi": lambda: model("bloom", vocab_size=97, hidden_size=32, n_layer=2, n_head=4),
    "lfm2, a short convolution": lambda: model(
        "lfm2", **LLAMA, layer_types=["conv", "full_attention", "conv"]
    ),
    "mamba, a state": lambda: model("mamba", vocab_size=97, hidden_size=32, num_hidden_layers=2),
}
SHARES = {"llama", "qwen3", "mistral, short window", "gpt2", "gpt_neox"}


def sample() -> tuple[list[list[int]], list[list[int]], list[bytes]]:
    """Prompts and responses of many lengths, one token among them, and keys."""
    random = np.random.default_rng(5)
    prompts, responses = [], []
    for length, sizes in ((1, (1, 4)), (9, (1, 1, 2, 30)), (50, (1, 3, 20, 60)), (3, (12,))):
        prompt = random.integers(1, 97, length).tolist()
        for size in sizes:
            prompts.append(prompt)
            responses.append(random.integers(1, 97, size).tolist())
    order = random.permutation(len(prompts))
    keys = [int(i).to_bytes(16, "big") for i in range(len(prompts))]
    return [prompts[i] for i in order], [responses[i] for i in order], keys


def passes(hidden: Any, rows: Any, limit: int) -> list[tuple[list[int], Any]]:
    """(rows, their sums and last states) of each forward pass over the sample's rows."""
    prompts, responses, keys = sample()
    return [
        (batch, hidden.run([prompts[i] for i in batch], [responses[i] for i in batch]))
        for batch in hidden.plan_passes(prompts, responses, keys, rows, limit)
    ]


def plain(found: Any, prompt: list[int], response: list[int]) -> Any:
    """The states h(x, y<k), k = 1..|y|, in float64: last prompt token to y's last but one."""
    with torch.inference_mode():
        states = found(torch.tensor([prompt + response]), output_hidden_states=True).hidden_states
    return states[-1][0][len(prompt) - 1 : len(prompt) + len(response) - 1].numpy()


@pytest.mark.parametrize("limit", [1, 70, 4096], ids=["one a pass", "split", "one pass"])
@pytest.mark.parametrize("name", MODELS)
def test_sums_equal_definition_2_on_any_causal_model(name: str, limit: int) -> None:
    made = MODELS[name]()
    hidden = HiddenSums(made, pad=0)
    assert hidden.shares == (name in SHARES)
    prompts, responses, keys = sample()
    found = passes(hidden, range(len(keys)), limit)
    assert sorted(row for rows, _ in found for row in rows) == list(range(len(keys)))
    exact = made.double()
    for row, (total, last) in (x for rows, sums in found for x in zip(rows, sums, strict=True)):
        wanted = plain(exact, prompts[row], responses[row])
        assert total.dtype == np.float32
        size = np.linalg.norm(wanted.sum(0))
        assert np.linalg.norm(total - wanted.sum(0)) < 1e-4 * size
        assert np.linalg.norm(last - wanted[-1]) < 1e-4 * np.linalg.norm(wanted[-1])


def test_a_prompt_is_read_once_and_responses_are_not_padded() -> None:
    hidden = HiddenSums(MODELS["llama"](), pad=0)
    lengths = []
    packed = hidden.packed
    hidden.packed = lambda **row: lengths.append(row["input_ids"].shape) or packed(**row)
    prompts, responses, keys = sample()
    passes(hidden, range(len(keys)), 4096)
    once = {tuple(p) for p in prompts}
    wanted = sum(map(len, once)) + sum(len(a) - 1 for a in responses)
    assert sum(rows * width for rows, width in lengths) == wanted
    assert all(rows == 1 for rows, _ in lengths)
    assert hidden.count_tokens(prompts, responses) == wanted


def test_logits_are_never_computed() -> None:
    made = MODELS["llama"]()
    made.lm_head.forward = None
    hidden = HiddenSums(made, pad=0)
    assert hidden.shares
    assert passes(hidden, range(5), 4096)


def test_the_packed_view_takes_no_second_copy_of_the_weights() -> None:
    made = MODELS["llama"]()
    hidden = HiddenSums(made, pad=0)
    own = {t.data_ptr() for t in made.parameters()}
    assert {t.data_ptr() for t in hidden.packed.parameters()} <= own
    assert made.config._attn_implementation != hidden.packed.config._attn_implementation


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("shares", [True, False], ids=["packed", "apart"])
def test_sums_are_those_of_float64_on_the_same_states(dtype: str, shares: bool) -> None:
    """What a pass in a less precise type adds is its own error, not that of the sums."""
    made = MODELS["llama"]().to(getattr(torch, dtype))
    hidden = HiddenSums(made, pad=0)
    assert hidden.shares
    hidden.shares = shares
    states = []
    for model in (hidden.packed, made.model):
        model.register_forward_hook(
            lambda _, given, output: states.append(output.last_hidden_state[0])
        )
    prompt, response = [5, 6, 7], np.random.default_rng(0).integers(1, 97, 240).tolist()
    ((total, last),) = hidden.run([prompt], [response])
    (seen,) = states
    exact = seen[2:].double().numpy()
    assert total.dtype == last.dtype == np.float32
    assert total == pytest.approx(exact.sum(0), rel=1e-7, abs=1e-9)
    assert last.tolist() == exact[-1].tolist()


@pytest.mark.parametrize("limit", [90, 200])
def test_passes_taken_away_leave_the_others_bit_for_bit(limit: int) -> None:
    """What a killed run finished is asked no more, whichever passes those were."""
    hidden = HiddenSums(MODELS["llama"](), pad=0)
    whole = passes(hidden, range(len(sample()[2])), limit)
    assert len(whole) >= 3
    for kept in (whole[0::2], whole[1::2], whole[-1:]):
        again = passes(hidden, sorted(row for rows, _ in kept for row in rows), limit)
        assert [rows for rows, _ in again] == [rows for rows, _ in kept]
        for (_, one), (_, other) in zip(again, kept, strict=True):
            assert [x.tobytes() for x in sum(one, ())] == [x.tobytes() for x in sum(other, ())]


def test_places_on_an_accelerator_are_those_of_the_slices(monkeypatch: Any) -> None:
    """The way that a GPU takes, several spans at once, run on the CPU."""
    made = MODELS["llama"]()
    hidden = HiddenSums(made, pad=0)
    prompts, responses, _ = sample()
    slices = hidden.run(prompts, responses)

    def at_once(spans: Any, device: Any) -> list[Any]:
        short = [s for s in spans if s[1] - s[0] <= s[3] - s[2]]
        long = [s for s in spans if s not in short]
        return [index_spans(short, True, device), index_spans(long, False, device)]

    monkeypatch.setattr("prefdata.engines.transformers.hidden.plan_attention", at_once)
    places = hidden.run(prompts, responses)
    for one, other in zip(places, slices, strict=True):
        assert np.allclose(one[0], other[0], rtol=1e-4, atol=1e-3)


def test_memory_that_runs_out_cuts_a_prompts_responses_apart(
    root: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, rows = asked(root)
    wanted = pl.concat(list(engine.hidden_sums(rows, Settings())))
    plain_run, sizes = HiddenSums.run, []

    def short_of_memory(self: Any, prompts: Any, responses: Any) -> Any:
        sizes.append(self.count_tokens(prompts, responses))
        if len(responses) > 1:
            raise RuntimeError("CUDA out of memory")
        return plain_run(self, prompts, responses)

    monkeypatch.setattr(HiddenSums, "run", short_of_memory)
    found = pl.concat(list(engine.hidden_sums(rows, Settings())))
    assert len(sizes) > 5
    assert found["key"].to_list() == wanted["key"].to_list()
    assert found["error"].equals(wanted["error"])
    one, other = (np.array(frame["hidden_sum"].drop_nulls().to_list()) for frame in (found, wanted))
    assert np.allclose(one, other, rtol=1e-3, atol=1e-2)


def asked(root: Any) -> tuple[TransformersEngine, pl.DataFrame]:
    """The demo policy, and six responses to two prompts, one of them empty."""
    engine = TransformersEngine(
        "policy", TransformersConfig(model=str(root / "demo/policy"), dtype="float32")
    )
    engine.start()
    rows = pl.DataFrame(
        {
            "key": [bytes([n]) for n in range(6)],
            "messages": [[{"role": "user", "content": f"Why {n % 2}?"}] for n in range(6)],
            "completion": ["Because", "No", "I don't know", "", "Well", ""],
            "finished": [True, True, False, True, True, False],
        },
        schema_overrides={"messages": MESSAGES},
    )
    return engine, rows


def test_candidates_of_a_prompt_share_its_pass(root: Any) -> None:
    engine, rows = asked(root)
    frames = list(engine.hidden_sums(rows, Settings()))
    assert engine.hidden is not None
    assert engine.hidden.shares
    errors, sums = frames
    assert errors["key"].to_list() == [bytes([5])]
    assert sums["error"].null_count() == 5
    engine.close()
    assert engine.hidden is None
