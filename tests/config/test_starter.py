"""The first params.yaml: valid for every engine, and refused where it would not be."""

from __future__ import annotations

from typing import get_args

import pytest
import yaml

from prefdata.config.params import Params
from prefdata.config.starter import Starter, StarterEngine
from prefdata.engines.openai.config import OpenAIOptions
from prefdata.errors import ConfigError

HOSTILE = "a: b # {c}\n'\u202e.jsonl"


def read(starter: Starter) -> Params:
    return Params.model_validate(yaml.safe_load(starter.render("params.yaml")))


@pytest.mark.parametrize("engine", get_args(StarterEngine))
def test_a_model_responds_and_judges(engine: StarterEngine) -> None:
    starter = Starter({"path": HOSTILE}, engine, "org/model", "http://h/v1", name=HOSTILE)
    params = read(starter)
    assert params.ingest.sources[0].path == params.export.name == HOSTILE
    assert {model.model for model in params.models.values()} == {"org/model"}
    assert params.generate.n > 1
    assert [judge.kind for judge in params.judge.judges] == ["pairwise"]
    kinds = {config.kind: config for config in params.filter.filters}
    # A server gives no hidden states, and vLLM gives them from a copy of the model.
    assert ("ches" in kinds) == (engine != "openai")
    asked = {"transformers": "policy", "vllm": "policy_states"}.get(engine)
    assert getattr(kinds.get("ches"), "model", None) == asked
    options = params.models["policy"].options
    assert engine != "openai" or (
        isinstance(options, OpenAIOptions) and options.base_urls == ["http://h/v1"]
    )


def test_rows_with_labels_are_labelled_anew() -> None:
    source = {"kind": "preferences", "path": "pairs.jsonl"}
    params = read(Starter(source, "transformers", "m", annotations=["rating", "thumb"]))
    assert params.generate.n == 0
    # Thumbs beside ratings say less of the same.
    names = [getattr(judge, "name", None) for judge in params.judge.judges]
    assert names == ["human_rating", None]
    assert read(Starter(source, "vllm", "m", annotations=["thumb"])).judge.judges[0].kind == "human"


def test_verifiers_ask_no_model() -> None:
    text = Starter({"path": "p"}, "openai", "m", "http://h/v1", ["math_answer"]).render("p.yaml")
    assert "judges itself" not in text
    assert "prefdata run --params p.yaml" in text


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ("pairwse", "did you mean 'pairwise'?"),
        ("reward_model", "needs settings of its own: models"),
        ("implicit_reward", "asks a model called reference, too"),
    ],
)
def test_a_judge_that_needs_more_is_refused(judge: str, said: str) -> None:
    with pytest.raises(ConfigError, match="judge") as raised:
        Starter({"path": "p"}, "transformers", "m", judges=[judge]).render("params.yaml")
    assert said in str(raised.value)
