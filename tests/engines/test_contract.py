"""The contract: what an engine refuses is said before work starts, in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from inference.counting import CountingEngine, requests
from pydantic import ValidationError

from prefdata.config import load_params
from prefdata.engines.base import (
    OPERATIONS,
    Call,
    Engine,
    LoglikelihoodSettings,
    Operation,
    Options,
    Requirement,
    Sampling,
    Settings,
    Structure,
    error_code,
    result_schema,
    results,
)
from prefdata.engines.registry import Engines
from prefdata.engines.scripted import ScriptedConfig, ScriptedEngine
from prefdata.errors import ModelError
from prefdata.inference import Inference, Runtime


class Embedder(Engine):
    """Can embed and nothing else."""

    name = "embedder"
    fingerprint = "f" * 32

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        yield results("embed", rows["key"], error=["refused: nothing to see"] * rows.height)


class Shaper(Embedder):
    """Can hold responses to a regular expression."""

    structures = frozenset({"regex"})

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        yield results("generate", rows["key"], error=["refused: no words"] * rows.height)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_an_engine_does_not_have_it_refuses(operation: Operation) -> None:
    said = Embedder().refusal(operation)
    assert (said is None) == (operation == "embed")
    if said:
        assert said == f"its engine can't {operation}; it can: embed"
        with pytest.raises(ModelError, match=f"model embedder: its engine can't {operation}"):
            Embedder().require(operation)


@pytest.mark.parametrize(
    ("structure", "kind"),
    [
        (Structure(json_schema="{}"), "json_schema"),
        (Structure(regex="a+"), "regex"),
        (Structure(choice=("a", "b")), "choice"),
    ],
)
def test_a_structure_is_refused_by_kind(structure: Structure, kind: str) -> None:
    settings = Sampling(structure=structure)
    said = Shaper().refusal("generate", settings)
    assert (said is None) == (kind == "regex")
    assert kind == "regex" or f"({kind})" in (said or "")
    assert Shaper().refusal("generate", Sampling()) is None
    with pytest.raises(ModelError, match="can't generate"):
        Embedder().require("generate", settings)


@pytest.mark.parametrize(
    "given",
    [{}, {"regex": "a", "choice": ("a",)}, {"choice": ()}],
    ids=["none", "two", "no choice"],
)
def test_a_structure_is_exactly_one_thing(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"exactly one|at least 1"):
        Structure(**given)


def test_requirements_are_checked_with_their_settings() -> None:
    engines = Engines({"policy": ScriptedConfig(model="m")})
    options = Options(options=("A", "B"))
    assert Requirement.of("policy", "generate").resolve(engines) == Call("generate")
    assert Requirement.of("policy", "choose", options).resolve(engines) == Call("choose", options)
    shaped = Sampling(structure=Structure(regex="a+"))
    with pytest.raises(ModelError, match=r"model policy: .* structure \(regex\)"):
        Requirement.of("policy", "generate", shaped).resolve(engines)


def test_of_several_calls_the_first_that_can_be_made_is() -> None:
    engines = {"embedder": Embedder()}
    unable, able = Call("generate", Sampling()), Call("embed")
    assert Requirement("embedder", (unable, able)).resolve(engines) == able
    with pytest.raises(ModelError, match="can't generate") as caught:
        Requirement("embedder", (unable,), "Take another one.").resolve(engines)
    assert caught.value.remedy == "Take another one."


def test_the_flow_asks_for_what_generate_will_ask(root: Path) -> None:
    from prefdata.pipelines.stages.generate import GenerateStage

    params = load_params(root / "params.yaml")
    (policy,) = params.generate.list_policies()
    wanted = Requirement.of("policy", "generate", policy.sampling)
    assert GenerateStage().requirements(params) == [wanted]


def test_an_operation_that_no_need_named_is_refused_before_the_model_starts() -> None:
    engine = CountingEngine()
    with pytest.raises(ModelError, match=r"structure \(json_schema\)"):
        Inference({"policy": engine}, None).ask(
            "policy",
            "generate",
            Sampling(structure=Structure(json_schema="{}")),
            requests(["Why?"]),
        )
    assert engine.starts == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_failed_request_has_nothing_but_its_error(operation: Operation) -> None:
    keys = [b"a" * 16, b"b" * 16]
    found = results(operation, keys, error=["timeout: 60 s", "bad_response: {"])
    assert found.schema == result_schema(operation)
    assert found["error"].to_list() == ["timeout: 60 s", "bad_response: {"]
    assert all(found[c].null_count() == 2 for c in found.columns if c not in ("key", "error"))


def test_results_of_arrays_and_of_nothing() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = results("embed", [b"a", b"b"], embedding=vectors, n_prompt_tokens=[1, None])
    assert found["embedding"].to_list() == vectors.tolist()
    assert found.schema == results("embed", []).schema == result_schema("embed")


def test_codes_of_errors() -> None:
    errors = pl.DataFrame({"e": ["too_long: 9 tokens", "odd", "Refused: no", None]})
    codes = errors.select(error_code(pl.col("e"))).to_series().to_list()
    assert codes == ["too_long", "model_error", "model_error", "model_error"]


def test_scripted_counts_what_was_read_and_scores_tokens_only_when_asked() -> None:
    engine = ScriptedEngine("m", ScriptedConfig(model="m"))
    rows = pl.DataFrame(
        {
            "key": [b"k" * 16],
            "messages": [[{"role": "user", "content": "one two"}]],
            "completion": ["three four five"],
            "finished": [True],
        }
    )
    (plain,) = engine.loglikelihood(rows, LoglikelihoodSettings())
    (each,) = engine.loglikelihood(rows, LoglikelihoodSettings(per_token=True))
    assert plain["token_logprobs"].to_list() == [None]
    tokens = each["token_logprobs"].to_list()[0]
    assert len(tokens) == each["n_tokens"].item()
    assert sum(tokens) == pytest.approx(plain["logprob"].item())
    assert plain["n_prompt_tokens"].item() > plain["n_tokens"].item()


def test_scripted_answers_from_a_choice() -> None:
    rows = requests([f"{i}?" for i in range(30)])
    settings = Sampling(structure=Structure(choice=("yes", "no")))
    asked = Inference({"policy": CountingEngine()}, None).ask("policy", "generate", settings, rows)
    assert set(asked["text"]) == {"yes", "no"}


def test_a_run_that_stops_takes_up_nothing_and_is_interrupted() -> None:
    engine, runtime = CountingEngine(), Runtime()
    engine.stopping = runtime.stopping
    runtime.stopping.set()
    with pytest.raises(KeyboardInterrupt):
        Inference({"policy": engine}, runtime=runtime).ask(
            "policy", "generate", Sampling(), requests(["?"])
        )
    assert engine.asked == []
    assert engine.starts == 0
    keyed = requests(["?"]).with_columns(key=pl.lit(b"k" * 16))
    assert list(engine.generate(keyed, Sampling())) == []
