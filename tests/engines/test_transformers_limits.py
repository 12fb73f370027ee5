"""The transformers engine where memory, devices, templates and time run out."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prefdata.engines import base
from prefdata.engines.base import (
    OPERATIONS,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
    Structure,
)
from prefdata.engines.registry import ENGINES
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.errors import ConfigError, ModelError
from prefdata.messages.columns import MESSAGES

torch = pytest.importorskip("torch", reason="the extra [transformers] is not installed")

from prefdata.engines.transformers import pieces  # noqa: E402

SETTINGS: dict[Operation, Settings] = {
    "generate": Sampling(max_tokens=8),
    "loglikelihood": LoglikelihoodSettings(per_token=True),
    "choose": Options(options=("A", "the second one")),
    "hidden_sums": Settings(),
}
DONE: list[Operation] = list(SETTINGS)


def made(root: Path, **changes: Any) -> TransformersEngine:
    folder = str(root / "demo" / "policy")
    return TransformersEngine(
        "policy", TransformersConfig(model=folder, dtype="float32", **changes)
    )


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> TransformersEngine:
    started = made(request.config.rootpath)
    started.start()
    return started


def rows(prompts: list[str]) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "messages": [[{"role": "user", "content": p}] for p in prompts],
            "sample_index": [0] * len(prompts),
            "completion": ["It is 19."] * len(prompts),
            "finished": [True] * len(prompts),
        },
        schema_overrides={"messages": MESSAGES},
    )
    keys = pl.Series("key", [bytes([9]) + i.to_bytes(15, "little") for i in range(len(prompts))])
    return frame.with_columns(keys)


def run(engine: TransformersEngine, operation: Operation, asked: pl.DataFrame) -> pl.DataFrame:
    asked = asked.select("key", *OPERATIONS[operation].request)
    return pl.concat(list(getattr(engine, operation)(asked, SETTINGS[operation]))).sort("key")


class Full:
    """The model on a device that holds no more than so many rows at once."""

    def __init__(self, model: Any, most: int, error: Exception) -> None:
        self.model, self.most, self.error = model, most, error
        self.tried: list[int] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.model, name)
        return self._checked(found) if name == "base_model" else found

    def _checked(self, inner: Any) -> Any:
        def forward(input_ids: Any, **others: Any) -> Any:
            self.tried.append(len(input_ids))
            if len(input_ids) > self.most:
                raise self.error
            return inner(input_ids=input_ids, **others)

        return forward

    def __call__(self, input_ids: Any, **others: Any) -> Any:
        return self._checked(self.model)(input_ids, **others)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 GB"),
]


@pytest.fixture
def full(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> Any:
    def limit(most: int, error: Exception) -> Full:
        model = Full(engine.model, most, error)
        monkeypatch.setattr(engine, "model", model)
        monkeypatch.setattr(engine, "pieces", {})
        monkeypatch.setattr(engine, "hidden", None)
        return model

    return limit


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "mps", "cpu"])
@pytest.mark.parametrize("operation", DONE)
def test_a_batch_that_does_not_fit_is_run_in_halves(
    engine: TransformersEngine, full: Any, operation: Operation, error: Exception
) -> None:
    asked = rows([f"What is {i} + {i}?" for i in range(11)])
    wanted = run(engine, operation, asked)
    model = full(3, error)
    found = run(engine, operation, asked)
    assert found["error"].null_count() == asked.height
    assert found["key"].equals(wanted["key"])
    assert found["n_prompt_tokens"].equals(wanted["n_prompt_tokens"])
    assert max(model.tried) > 3
    # What was too large once is not tried again, and the pieces are the same.
    model.tried.clear()
    assert run(engine, operation, asked).equals(found)
    assert max(model.tried) <= 3


@pytest.mark.parametrize("operation", DONE)
def test_one_request_that_does_not_fit_alone_names_the_setting(
    engine: TransformersEngine, full: Any, operation: Operation
) -> None:
    full(0, OUT_OF_MEMORY[0])
    with pytest.raises(ModelError, match="out of memory on a single request of") as caught:
        run(engine, operation, rows(["Why?", "How?"]))
    assert "models.policy" in caught.value.remedy
    assert "generate.max_tokens" in caught.value.remedy


def test_another_error_of_the_device_is_not_taken_for_it(
    engine: TransformersEngine, full: Any
) -> None:
    full(0, RuntimeError("device-side assert triggered"))
    with pytest.raises(RuntimeError, match="device-side assert"):
        run(engine, "loglikelihood", rows(["Why?"]))


@pytest.mark.parametrize("operation", DONE)
def test_a_run_that_stops_takes_up_no_more_batches(
    root: Path, engine: TransformersEngine, operation: Operation
) -> None:
    small = made(root, max_batch_tokens=200)
    for name in ("model", "tokenizer", "encoder", "ends", "max_length"):
        setattr(small, name, getattr(engine, name))
    asked = rows([f"What is {i} + {i}?" for i in range(20)])
    asked = asked.select("key", *OPERATIONS[operation].request)
    frames = getattr(small, operation)(asked, SETTINGS[operation])
    first = next(frames)
    small.stopping.set()
    assert list(frames) == []
    assert 0 < first.height < asked.height


def test_what_is_not_finished_within_the_grace_is_given_up(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at between decoding steps: a long response does not hold up the end of the run."""
    steps = []

    class Clock:
        """Each look at the clock is a second later."""

        @staticmethod
        def monotonic() -> float:
            steps.append(1)
            return float(len(steps))

    class Model(Full):
        def __call__(self, input_ids: Any, **others: Any) -> Any:
            stopping.set()
            return super().__call__(input_ids, **others)

    stopping = threading.Event()
    monkeypatch.setattr(engine, "stopping", stopping)
    monkeypatch.setattr(pieces, "time", Clock)
    model = Model(engine.model, 99, OUT_OF_MEMORY[0])
    monkeypatch.setattr(engine, "model", model)
    monkeypatch.setattr(engine, "ends", set())
    asked = rows(["Why?"]).select("key", "messages", "sample_index")
    assert list(engine.generate(asked, Sampling(max_tokens=500))) == []
    assert len(steps) == base.GRACE_SECONDS + 1
    assert len(model.tried) == len(steps)


def test_log_probs_of_tokens_add_up_and_are_given_when_asked(engine: TransformersEngine) -> None:
    asked = rows(["Why?", "What is 12 + 7?"]).select("key", *OPERATIONS["loglikelihood"].request)
    (each,) = engine.loglikelihood(asked, LoglikelihoodSettings(per_token=True))
    (plain,) = engine.loglikelihood(asked, LoglikelihoodSettings())
    assert plain["token_logprobs"].null_count() == 2
    assert plain.drop("token_logprobs").equals(each.drop("token_logprobs"))
    assert each["token_logprobs"].list.len().equals(each["n_tokens"].cast(pl.UInt32))
    assert each["token_logprobs"].list.sum().to_list() == pytest.approx(each["logprob"].to_list())


def test_logits_are_held_a_few_rows_at_a_time(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefdata.engines.transformers import forward

    asked = rows([f"What is {i} + {i}?" for i in range(5)])
    wanted = run(engine, "loglikelihood", asked)
    model = Full(engine.model, 99, OUT_OF_MEMORY[0])
    monkeypatch.setattr(engine, "model", model)
    vocabulary = engine.model.config.get_text_config().vocab_size
    response = int(wanted["n_tokens"][0])
    monkeypatch.setattr(forward, "LOGITS", 2 * (response + 1) * vocabulary)
    found = run(engine, "loglikelihood", asked)
    assert model.tried == [2, 2, 1]
    assert found["logprob"].to_list() == pytest.approx(wanted["logprob"].to_list(), rel=1e-5)


def test_tokens_read_are_those_of_the_prompt_and_of_what_was_given(
    engine: TransformersEngine,
) -> None:
    asked = rows(["Why?"])
    read = {op: run(engine, op, asked)["n_prompt_tokens"].item() for op in DONE}
    response = run(engine, "loglikelihood", asked)["n_tokens"].item()
    assert read["loglikelihood"] == read["hidden_sums"] == read["generate"] + response
    sizes = [
        len(engine.tokenizer(o, add_special_tokens=False)["input_ids"])
        for o in SETTINGS["choose"].options  # type: ignore[attr-defined]
    ]
    assert max(sizes) > 1
    assert read["choose"] == 2 * read["generate"] + sum(sizes)


def test_a_conversation_that_the_template_refuses_fails_alone(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = (
        "{% for m in messages %}{% if m['content'] == 'No?' %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}{{ m['content'] }}{% endfor %}"
    )
    monkeypatch.setattr(engine.tokenizer, "chat_template", template)
    for operation in DONE:
        found = run(engine, operation, rows(["Why?", "No?", "", "How?"]))
        assert found["error"].to_list() == [
            None,
            "refused: the chat template says: roles must alternate",
            "refused: the prompt has no token",
            None,
        ]


def test_an_empty_answer_has_no_hidden_states(engine: TransformersEngine) -> None:
    asked = rows(["Why?", "How?"]).with_columns(
        completion=pl.Series(["", "So."]), finished=pl.lit(False)
    )
    found = run(engine, "hidden_sums", asked)
    assert found["error"].to_list() == ["refused: an empty response has no hidden states", None]


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_refused_before_work_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    said = made(root, device=device).refusal("generate")
    assert said is not None
    assert said.startswith(f"device: {device}, but torch")
    assert ("CUDA_VISIBLE_DEVICES='7'" in said) == device.startswith("cuda")
    assert made(root, device="cpu").refusal("generate") is None


def test_a_device_that_is_there_is_not_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    said = {d: made(root, device=d).refusal("loglikelihood") for d in ("cuda", "cuda:0", "cuda:1")}
    assert set(said.values()) == {None}
    assert "sees 2 CUDA devices" in str(made(root, device="cuda:2").refusal("loglikelihood"))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "tpu:0", "mps:1"])
def test_an_unknown_device_lists_the_known_ones(root: Path, device: str) -> None:
    said = str(made(root, device=device).refusal("generate"))
    assert repr(device) in said
    assert "cuda:N" in said


def test_an_unknown_dtype_lists_the_known_ones(root: Path) -> None:
    settings = {"model": str(root / "demo/policy"), "dtype": "fp8"}
    with pytest.raises(ConfigError, match=r"models\.policy:\n  dtype: Input should be 'auto'"):
        ENGINES.parse(settings, "models.policy")


def test_structure_is_refused(root: Path) -> None:
    said = made(root).refusal("generate", Sampling(structure=Structure(regex="a+")))
    assert said == "its engine can't hold responses to a structure (regex)"


def test_closed_twice_and_started_again(root: Path) -> None:
    engine = made(root)
    engine.close()
    engine.start()
    wanted = run(engine, "choose", rows(["Why?"]))
    engine.close()
    engine.close()
    assert engine.model is None
    engine.start()
    assert run(engine, "choose", rows(["Why?"])).equals(wanted)
