"""The registry of engines: what is found, what params.yaml may say, and what asks a model anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

from prefdata.engines import fingerprint
from prefdata.engines.config import ModelConfig
from prefdata.engines.registry import ENGINES, Engines
from prefdata.engines.scripted import ScriptedConfig
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.vllm import start as vllm_start
from prefdata.errors import ConfigError

HEAVY = ("torch", "vllm", "aiohttp", "transformers", "sentence_transformers")


class Models(BaseModel):
    """The section `models` of params.yaml."""

    models: dict[str, ENGINES.settings]  # type: ignore[name-defined]


def list_settings(config: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(dotted name, another value) of every setting that has one."""
    for name, field in config.model_fields.items():
        kind, default = field.annotation, field.default
        if isinstance(kind, type) and issubclass(kind, BaseModel) and not field.examples:
            yield from list_settings(kind, (*path, name))
            continue
        others: list[Any] = list(field.examples or ())
        if get_origin(kind) is Literal:
            others += [value for value in get_args(kind) if value != default]
        elif isinstance(default, bool):
            others += [not default]
        elif isinstance(default, int | float):
            others += [default + 1]
        if others:
            yield ".".join((*path, name)), others[0]


def make_settings(engine: str, **changes: Any) -> dict[str, Any]:
    """Settings of an engine that work, with changes by their dotted names."""
    example = ENGINES.parts[engine].example
    # On a CPU `auto` is float32, elsewhere not.
    settings = {"engine": engine, "dtype": "float32", **example}
    for name, value in changes.items():
        if name.startswith("options."):
            options = {**settings.get("options", {}), name.removeprefix("options."): value}
            settings["options"] = options
        else:
            settings[name] = value
    return settings


SETTINGS = [
    pytest.param(engine, name, value, id=f"{engine} {name}")
    for engine, config in ENGINES.parts.items()
    for name, value in list_settings(config)
]


@pytest.mark.parametrize(("engine", "name", "value"), SETTINGS)
def test_a_setting_asks_anew_where_the_engine_says_so(
    engine: str, name: str, value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def find_hub_commit(model: str, config: ModelConfig) -> str:
        return config.revision or "main"

    monkeypatch.setattr(fingerprint, "find_hub_commit", find_hub_commit)
    monkeypatch.setattr(vllm_start, "check_installed", lambda name: None)
    monkeypatch.setattr(vllm_start, "check_arguments", lambda name, options: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "an" / "adapter").mkdir(parents=True)
    (tmp_path / "an" / "adapter" / "adapter_config.json").write_text("{}")
    one, other = (
        ENGINES.load("policy", ENGINES.parse(settings, "models.policy")).fingerprint
        for settings in (make_settings(engine), make_settings(engine, **{name: value}))
    )
    assert (one != other) == (name in ENGINES.parts[engine].asks_again)


@pytest.mark.parametrize("engine", ENGINES.parts)
def test_the_settings_that_ask_anew_are_settings(engine: str) -> None:
    config = ENGINES.parts[engine]
    assert config.asks_again <= {name for name, _ in list_settings(config)}


@pytest.mark.parametrize("engine", ENGINES.parts)
def test_params_yaml_takes_every_engine(engine: str) -> None:
    (config,) = Models(models={"policy": make_settings(engine)}).models.values()
    assert isinstance(config, ENGINES.parts[engine])
    assert config.engine == engine


def test_a_model_without_an_engine_runs_on_transformers() -> None:
    (config,) = Models(models={"policy": {"model": "x"}}).models.values()
    assert config == TransformersConfig(model="x")
    assert ENGINES.parse({"model": "x"}) == config


def test_an_editor_is_told_that_only_transformers_may_go_unnamed() -> None:
    definitions = TypeAdapter(Models).json_schema()["$defs"]
    for engine, config in ENGINES.parts.items():
        required = definitions[config.__name__]["required"]
        assert ("engine" in required) == (engine != "transformers")


def test_an_engine_without_options_of_its_own_takes_none() -> None:
    with pytest.raises(ConfigError, match=r"options\.beam: unknown key"):
        ENGINES.parse({"model": "x", "options": {"beam": 4}}, "models.policy")


def test_finding_the_engines_imports_nothing_that_they_run_on() -> None:
    code = (
        "import sys; from prefdata.engines.registry import ENGINES; ENGINES.settings;"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_models_of_a_run_are_made_once_and_look_at_its_event() -> None:
    models = {name: ScriptedConfig(model=name) for name in ("policy", "judge")}
    one, other = Engines(models), Engines(models)
    assert one["policy"] is one["policy"]
    assert one["policy"] is not other["policy"]
    assert one["policy"].stopping is one["judge"].stopping
    one["policy"].stopping.set()
    assert not other["policy"].stopping.is_set()


def test_settings_that_came_later_ask_nothing_again() -> None:
    """Fingerprints of the versions without them, by which old memos are found."""
    served = {"engine": "openai", "model": "m", "options": {"base_urls": ["http://a/v1"]}}
    for settings, expected in (
        ({"engine": "scripted", "model": "policy"}, "3363f2a87b7583cbdc1d173db4c81ca1"),
        (served, "a3a3fec48d2541a08fe906ee437ebc73"),
    ):
        for changes in ({}, {"thoughts": "think"}, {"chat_template_kwargs": {}}):
            config = ENGINES.parse({**settings, **changes}, "models.policy")
            assert ENGINES.load("policy", config).fingerprint == expected
        other = {**settings, "chat_template_kwargs": {"enable_thinking": False}}
        config = ENGINES.parse(other, "models.policy")
        assert ENGINES.load("policy", config).fingerprint != expected
