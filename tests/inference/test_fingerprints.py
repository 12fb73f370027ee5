"""Which settings and files of a model change its fingerprint, and so every key, and which don't."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from itertools import permutations
from pathlib import Path
from typing import Any

import huggingface_hub
import polars as pl
import pytest

from prefdata.engines.base import Sampling
from prefdata.engines.config import ModelConfig
from prefdata.engines.fingerprint import find_hub_commit, fingerprint_model
from prefdata.engines.registry import ENGINES, Engines
from prefdata.engines.scripted import ScriptedConfig, ScriptedEngine, ScriptedOptions
from prefdata.errors import ConfigError, ModelError

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": b"\x00" * 64,
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "generation_config.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "merges.txt": b"a b",
    "tokenizer.model": b"\x01",
    "1_Pooling/config.json": b"{}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    return made


def fingerprint(folder: Path, **settings: Any) -> str:
    config = ENGINES.parse({"model": str(folder), **settings}, "models.policy")
    return fingerprint_model("policy", config)


def named(model: str) -> ModelConfig:
    return ENGINES.parse({"model": model}, "models.policy")


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_model_counts(folder: Path, name: str) -> None:
    before = fingerprint(folder)
    (folder / name).write_bytes(FILES[name] + b" ")
    changed = fingerprint(folder)
    assert changed != before
    if name != "config.json":
        (folder / name).unlink()
        assert fingerprint(folder) not in (before, changed)
    (folder / name).write_bytes(FILES[name])
    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    ("model", "meant"),
    [
        ("runs/modle", "'runs/model'"),
        ("./modle", None),
        ("/no/such/folder", None),
        ("runs/a/b", None),
    ],
)
def test_a_mistyped_folder_is_said_at_once_and_the_hub_is_not_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, meant: str | None
) -> None:
    def ask_hub(*_: object, **__: object) -> str:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", ask_hub)
    (folder.parent / "runs").mkdir()
    folder.rename(folder.parent / "runs" / "model")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ModelError, match=r"models\.policy\.model: there is no folder") as caught:
        fingerprint_model("policy", named(model))
    assert (f"(did you mean {meant}?)" in str(caught.value)) == (meant is not None)


def test_a_model_of_the_hub_may_share_its_first_name_with_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    cached = str(folder / "config.json")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: cached)
    assert find_hub_commit("policy", named("owner/model")) == "model"
    (folder.parent / "owner").mkdir()
    with pytest.raises(ModelError, match="owner/ is a folder here"):
        find_hub_commit("policy", named("owner/model"))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: cached)
    assert find_hub_commit("policy", named("owner/model")) == "model"


def test_two_files_that_change_places_are_another_model(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "merges.txt").write_bytes(FILES["tokenizer.model"])
    (folder / "tokenizer.model").write_bytes(FILES["merges.txt"])
    assert fingerprint(folder) != before


def test_where_the_folder_lies_and_what_is_beside_the_model_do_not(folder: Path) -> None:
    before = fingerprint(folder)
    moved = folder.parent / "elsewhere" / "another-name"
    shutil.copytree(folder, moved)
    (moved / "README.md").write_text("a card")
    (moved / "training.log").write_text("loss 0.1")
    assert fingerprint(moved) == before


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"dtype": "float32"}, True),
        ({"engine": "sentence"}, True),
        ({"device": "cpu"}, False),
        ({"max_batch_tokens": 7}, False),
        ({"max_batch_rows": 7}, False),
        ({"revision": "main"}, False),
        ({"options": {}}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_that_change_answers_count_and_the_rest_do_not(
    folder: Path, settings: dict[str, Any], counts: bool
) -> None:
    assert (fingerprint(folder, **settings) != fingerprint(folder)) == counts


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(ModelError, match=r"no config\.json \(it holds: notes\.txt\)"):
        fingerprint(tmp_path)


def scripted(model: str = "policy", name: str = "policy", **settings: Any) -> str:
    config = ENGINES.parse({"engine": "scripted", "model": model, **settings}, f"models.{name}")
    return ENGINES.load(name, config).fingerprint


OTHER_OPTIONS: dict[str, tuple[Any, bool]] = {
    "responses": ({"2 + 2": "4"}, True),
    "response_chars": (7, True),
    "dimension": (3, True),
    "fail": (["poison"], False),
    "latency_seconds": (1.0, False),
}


@pytest.mark.parametrize("option", ScriptedOptions.model_fields)
def test_a_scripted_model_is_what_it_answers(option: str) -> None:
    value, counts = OTHER_OPTIONS[option]
    assert (scripted(options={option: value}) != scripted()) == counts


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"model": "reference"}, True),
        ({"name": "judge"}, False),
        ({"device": "cuda"}, False),
        ({"dtype": "float32"}, False),
        ({"max_batch_tokens": 7}, False),
        ({"max_batch_rows": 7}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_scripted_model_ignores_what_it_does_not_have(
    settings: dict[str, Any], counts: bool
) -> None:
    assert (scripted(**settings) != scripted()) == counts


@pytest.mark.parametrize(
    ("make", "known"),
    [
        (lambda: ENGINES.parse({"engine": "magic", "model": "x"}, "models.policy"), ENGINES.parts),
        (lambda: Engines({"policy": ScriptedConfig(model="x")})["judge"], ["policy"]),
    ],
    ids=["engine", "model"],
)
def test_an_unknown_name_lists_the_known_ones(
    make: Callable[[], object], known: Iterable[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert all(name in str(caught.value) for name in known)


def test_an_unknown_option_of_an_engine_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"models\.policy:\n  options\.latency") as caught:
        scripted(options={"latency": 1})
    assert all(name in str(caught.value) for name in ScriptedOptions.model_fields)


def test_answers_do_not_depend_on_an_order_that_the_fingerprint_ignores() -> None:
    responses = {"2": "a digit", "2 + 2": "4", "+ 2": "a sum"}
    found = []
    for items in permutations(responses.items()):
        options = ScriptedOptions(responses=dict(items))
        engine = ScriptedEngine("policy", ScriptedConfig(model="m", options=options))
        rows = pl.DataFrame({"key": [bytes(16)], "messages": [[{"content": "What is 2 + 2?"}]]})
        (results,) = engine.generate(rows, Sampling())
        found.append((engine.fingerprint, results["text"].item()))
    assert len(set(found)) == 1
