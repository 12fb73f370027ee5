"""The transformers engine on the real demo policy, against plain one-at-a-time evaluations."""

from __future__ import annotations

import copy

import numpy as np
import polars as pl
import pytest

from prefdata.engines.base import (
    LoglikelihoodSettings,
    Options,
    Sampling,
    Settings,
    request_key_seed,
)
from prefdata.engines.encoding import Encoder
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.messages.columns import MESSAGES

torch = pytest.importorskip("torch", reason="the extra [transformers] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra is not installed")

PROMPTS = [
    "What is 12 + 7?",
    "Tell me about the river that runs through the old town, and why its water is so cold.",
    "Why?",
]
ANSWERS = ["It is 19.\n#### 19", "Because", "A", ""]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> TransformersEngine:
    folder = request.config.rootpath / "demo" / "policy"
    made = TransformersEngine("policy", TransformersConfig(model=str(folder), dtype="float32"))
    made.start()
    return made


def answered(n: int = 1) -> pl.DataFrame:
    rows = [
        {"messages": [{"role": "user", "content": p}], "completion": a, "finished": f}
        for p in PROMPTS
        for a in ANSWERS
        for f in (True, False)
        if a or f
    ] * n
    frame = pl.DataFrame(rows, schema_overrides={"messages": MESSAGES})
    return frame.with_columns(key=pl.Series([i.to_bytes(16, "little") for i in range(len(rows))]))


def collected(frames: object, rows: pl.DataFrame) -> pl.DataFrame:
    got = pl.concat(list(frames))  # type: ignore[call-overload]
    return rows.select("key").join(got, on="key", how="left", maintain_order="left")


def ids_of(engine: TransformersEngine, row: dict) -> tuple[list[int], list[int]]:
    """Prompt and response ids, straight from the tokenizer."""
    tokenizer = engine.tokenizer
    text = tokenizer.apply_chat_template(
        row["messages"], add_generation_prompt=True, tokenize=False
    )
    prompt = tokenizer(text, add_special_tokens=False).input_ids
    response = tokenizer(row["completion"], add_special_tokens=False).input_ids
    return prompt, response + ([tokenizer.eos_token_id] if row["finished"] else [])


def with_batches(engine: TransformersEngine, tokens: int) -> TransformersEngine:
    """The same loaded model, batching by another size."""
    other = TransformersEngine(
        "policy", engine.config.model_copy(update={"max_batch_tokens": tokens})
    )
    for name in ("model", "tokenizer", "encoder", "ends", "max_length"):
        setattr(other, name, getattr(engine, name))
    return other


@pytest.mark.parametrize("tokens", [1, 300, 16_384], ids=["no padding", "some", "one batch"])
def test_score_equals_the_plain_sum(engine: TransformersEngine, tokens: int) -> None:
    rows = answered()
    got = collected(with_batches(engine, tokens).loglikelihood(rows, LoglikelihoodSettings()), rows)
    for row, (logprob, n_tokens) in zip(
        rows.to_dicts(), got.select("logprob", "n_tokens").iter_rows(), strict=True
    ):
        prompt, response = ids_of(engine, row)
        with torch.inference_mode():
            logits = engine.model(torch.tensor([prompt + response])).logits[0].double()
        logprobs = logits.log_softmax(-1)
        expected = sum(
            logprobs[len(prompt) - 1 + k, token].item() for k, token in enumerate(response)
        )
        assert n_tokens == len(response)
        assert logprob == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("tokens", [1, 300, 16_384], ids=["no padding", "some", "one batch"])
def test_hidden_sums_equal_definition_2(engine: TransformersEngine, tokens: int) -> None:
    """arXiv 2410.08847, Definition 2, evaluated plainly in float64."""
    rows = answered()
    got = collected(with_batches(engine, tokens).hidden_sums(rows, Settings()), rows)
    exact = transformers.AutoModelForCausalLM.from_pretrained(
        engine.config.model, dtype=torch.float64
    )
    for row, found in zip(rows.to_dicts(), got.to_dicts(), strict=True):
        prompt, response = ids_of(engine, row)
        if not response:
            assert found["error"] is not None
            continue
        with torch.inference_mode():
            states = exact(
                torch.tensor([prompt + response]), output_hidden_states=True
            ).hidden_states[-1][0]
        # h(x, y<k), k = 1..|y|: from the last prompt token to the last but one of the response.
        wanted = states[len(prompt) - 1 : len(prompt) + len(response) - 1]
        assert found["n_tokens"] == len(response) == len(wanted)
        size = float(wanted.sum(0).norm())
        difference = np.array(found["hidden_sum"]) - wanted.sum(0).numpy()
        assert np.linalg.norm(difference) < 1e-4 * size
        last = np.array(found["last_hidden"]) - wanted[-1].numpy()
        assert np.linalg.norm(last) < 1e-4 * float(wanted[-1].norm())


@pytest.mark.parametrize("options", [("A", "B"), ("the first one", "B", "neither of them")])
def test_choose_equals_the_options_logprobs(
    engine: TransformersEngine, options: tuple[str, ...]
) -> None:
    rows = answered().unique("messages", maintain_order=True).select("key", "messages")
    got = collected(engine.choose(rows, Options(options=options)), rows)
    for messages, logprobs in zip(
        rows["messages"].to_list(), got["logprobs"].to_list(), strict=True
    ):
        for option, logprob in zip(options, logprobs, strict=True):
            row = {"messages": messages, "completion": option, "finished": False}
            prompt, response = ids_of(engine, row)
            with torch.inference_mode():
                logits = engine.model(torch.tensor([prompt + response])).logits[0].double()
            table = logits.log_softmax(-1)
            expected = sum(table[len(prompt) - 1 + k, t].item() for k, t in enumerate(response))
            assert logprob == pytest.approx(expected, abs=1e-3)


def test_the_template_ends_a_response_whatever_the_end_of_text(engine: TransformersEngine) -> None:
    """As in Gemma and Phi, whose turns end with another token than their texts."""
    rows, settings = answered().filter("finished"), LoglikelihoodSettings()
    other = with_batches(engine, 16_384)
    other.tokenizer = copy.deepcopy(engine.tokenizer)
    other.tokenizer.eos_token = other.tokenizer.pad_token
    other.encoder = Encoder(other.tokenizer)
    found, usual = (collected(e.loglikelihood(rows, settings), rows) for e in (other, engine))
    assert found.select("logprob", "n_tokens").equals(usual.select("logprob", "n_tokens"))


def requests(n: int, prompts: list[str] = PROMPTS) -> pl.DataFrame:
    rows = [
        {"messages": [{"role": "user", "content": p}], "sample_index": i}
        for p in prompts
        for i in range(n)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"messages": MESSAGES})
    keys = [bytes([7]) + i.to_bytes(15, "little") for i in range(len(rows))]
    return frame.with_columns(key=pl.Series(keys))


def test_what_answers_and_its_tokens_are_told(engine: TransformersEngine) -> None:
    described = engine.describe_versions()
    assert described["torch"] == torch.__version__
    assert described["transformers"] == transformers.__version__
    assert (described["dtype"], described["device"].split()[0]) == ("float32", "cpu")
    assert int(described["threads"]) > 0
    (one, other) = engine.split_tokens(["It is 19.", "It is 20."])
    assert one != other
    assert one[:2] == other[:2]


def test_greedy_equals_transformers_generate(engine: TransformersEngine) -> None:
    rows = requests(1)
    got = collected(engine.generate(rows, Sampling(temperature=0, max_tokens=24)), rows)
    for messages, found in zip(rows["messages"].to_list(), got.to_dicts(), strict=True):
        prompt, _ = ids_of(engine, {"messages": messages, "completion": "", "finished": False})
        with torch.inference_mode():
            output = engine.model.generate(
                torch.tensor([prompt]), max_new_tokens=24, do_sample=False
            )[0, len(prompt) :]
        assert found["text"] == engine.tokenizer.decode(output, skip_special_tokens=True)
        assert found["n_tokens"] == len(output)
        ended = int(output[-1]) in engine.ends
        assert found["finish_reason"] == ("stop" if ended else "length")


def test_indicators_are_those_of_the_likeliest_tokens(engine: TransformersEngine) -> None:
    rows = requests(1)
    greedy = Sampling(temperature=0, max_tokens=8)
    plain = collected(engine.generate(rows, greedy), rows)
    assert plain["top_k_entropy"].null_count() == plain["top_k_mass"].null_count() == rows.height
    top_3 = greedy.model_copy(update={"indicator_top_k": 3})
    got = collected(engine.generate(rows, top_3), rows)
    assert got["text"].equals(plain["text"])
    for messages, found in zip(rows["messages"].to_list(), got.to_dicts(), strict=True):
        prompt, _ = ids_of(engine, {"messages": messages, "completion": "", "finished": False})
        with torch.inference_mode():
            whole = engine.model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)
            logits = engine.model(whole).logits[0, len(prompt) - 1 : -1]
        best = torch.softmax(logits.double(), -1).topk(3).values
        shares = best / best.sum(-1, keepdim=True)
        entropy = -(shares * shares.log()).sum(-1).mean()
        assert found["top_k_entropy"] == pytest.approx(float(entropy), abs=1e-4)
        assert found["top_k_mass"] == pytest.approx(float(best.sum(-1).mean()), abs=1e-4)


def test_sampled_logprob_is_that_of_the_model(engine: TransformersEngine) -> None:
    """Whatever the temperature, top-p and dropped rows of the batch."""
    rows = requests(6)
    settings = Sampling(temperature=0.7, top_p=0.9, top_k=50, max_tokens=40)
    got = collected(engine.generate(rows, settings), rows)
    responses = rows.with_columns(
        completion=got["text"], finished=got["finish_reason"] == "stop"
    ).select("key", "messages", "completion", "finished")
    scored = collected(engine.loglikelihood(responses, LoglikelihoodSettings()), responses)
    # Decoding and encoding again may cut a text into other tokens: those rows say nothing here.
    same = (scored["n_tokens"] == got["n_tokens"]).to_numpy()
    assert same.mean() > 0.5
    assert np.allclose(
        scored["logprob"].to_numpy()[same], got["cumulative_logprob"].to_numpy()[same], atol=1e-2
    )


def test_samples_depend_on_the_key_alone(engine: TransformersEngine) -> None:
    rows = requests(4)
    settings = Sampling(temperature=1.0, max_tokens=20)
    whole = collected(engine.generate(rows, settings), rows)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=3)
    again = collected(engine.generate(shuffled, settings), rows)
    assert whole.equals(again)
    assert whole["text"].n_unique() > len(PROMPTS)


def test_whole_batches_taken_away_change_nothing(engine: TransformersEngine) -> None:
    """What a killed run finished is asked no more; the rest comes out bit for bit the same."""
    rows = requests(4, [f"{p} {'more ' * k}" for p in PROMPTS for k in range(6)])
    small = with_batches(engine, 400)
    settings = Sampling(temperature=1.0, max_tokens=12)
    frames = list(small.generate(rows, settings))
    assert len(frames) > 3
    finished = pl.concat(frames[1::2])
    rest = rows.join(finished, on="key", how="anti")
    got = pl.concat(list(small.generate(rest, settings)))
    wanted = pl.concat(frames[0::2])
    assert got.sort("key").equals(wanted.sort("key"))


def test_stop_text_ends_the_answer_and_is_cut(engine: TransformersEngine) -> None:
    rows = requests(4)
    free = collected(engine.generate(rows, Sampling(max_tokens=40)), rows)
    stop = free["text"].str.extract(r"\b(\w{2,})\b", 1).drop_nulls()[0]
    got = collected(engine.generate(rows, Sampling(max_tokens=40, stop=(stop,))), rows)
    cut = free["text"].str.contains(stop, literal=True).to_numpy()
    assert cut.any()
    assert not got["text"].str.contains(stop, literal=True).any()
    assert (got["finish_reason"].to_numpy()[cut] == "stop").all()


def test_a_prompt_beyond_the_model_fails_alone(engine: TransformersEngine) -> None:
    rows = requests(1, ["Why?", "long " * 3000, "How?"])
    got = collected(engine.generate(rows, Sampling(max_tokens=4)), rows)
    assert got["error"].is_null().to_list() == [True, False, True]
    assert got["error"][1].startswith("too_long: ")
    assert str(engine.max_length) in got["error"][1]


def test_an_option_beyond_the_model_fails_its_request_once(engine: TransformersEngine) -> None:
    near = "long " * (engine.max_length - 30)
    size = len(engine.tokenizer(near, add_special_tokens=False).input_ids)
    near = near[: len(near) * (engine.max_length - 15) // size]
    rows = requests(1, ["Why?", near]).select("key", "messages")
    options = Options(options=("the first one", "B", "no " * 40))
    got = pl.concat(list(engine.choose(rows, options)))
    assert sorted(got["key"]) == sorted(rows["key"])
    by_key = dict(got.select("key", "error").iter_rows())
    assert by_key[rows["key"][0]] is None
    assert by_key[rows["key"][1]].startswith("too_long: ")
    assert got.filter(pl.col("error").is_not_null())["logprobs"].is_null().all()


def test_seed_is_fixed_by_the_key() -> None:
    assert request_key_seed(b"\xff" * 16) == 2**63 - 1
    assert request_key_seed(bytes(16)) == 0
