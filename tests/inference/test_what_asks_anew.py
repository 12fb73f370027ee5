"""For every setting there is: whether changing it asks the models anew.

A small flow of scripted models runs once; then each setting is changed and the stages that it
concerns run again, and the keys of what they ask are held against the first ones. A setting that
is not in the tables below, a new one say, fails the test.
"""

from __future__ import annotations

import shutil
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml
from inference.settings import AFTER, ASKING, FLOW, HIT, MISS, MODEL, MORE, NEW, OPTIONS
from pydantic import BaseModel

from prefdata.config import ModelParams, Params, Part, load_params
from prefdata.consensus.registry import CONSENSUSES
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.engines import fingerprint
from prefdata.engines.registry import ENGINES
from prefdata.engines.scripted import ScriptedEngine, ScriptedOptions
from prefdata.filters.registry import FILTERS
from prefdata.inference import loop
from prefdata.judges.registry import JUDGES
from prefdata.pairs.registry import STRATEGIES
from prefdata.pipelines.stages.registry import STAGES

PARTS: dict[str, Mapping[str, Any]] = {
    "judge.judges": JUDGES,
    "judge.consensus": CONSENSUSES,
    "pair.strategy": STRATEGIES,
    "filter.filters": FILTERS,
    "export.format": EXPORTS,
}


def settings(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The path of every setting below the model; lists and mappings count as their items."""
    for name, info in model.model_fields.items():
        here = f"{path}{name}"
        inner = _model(info.annotation)
        if inner is Part:
            yield f"{here}.kind"
            for kind, part in PARTS[here].items():
                yield from settings(part.config_model, f"{here}.{kind}.")
        elif inner is ModelParams:
            yield from (f"{here}.{field}" for field in ModelParams.model_fields)
        elif inner is not None:
            yield from settings(inner, f"{here}.")
        else:
            yield here


def _model(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model within an annotation such as `list[Part]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model(arm) for arm in typing.get_args(annotation)]
    return next((model for model in found if model is not None), None)


def test_every_setting_has_its_place_in_the_tables() -> None:
    classified = {*FLOW, *(f"models.{name}" for name in MODEL)}
    assert set(settings(Params)) == classified
    assert set(OPTIONS) == set(ENGINES)
    assert set(OPTIONS["scripted"]) == set(ScriptedOptions.model_fields)


@dataclass
class Asked:
    """The keys of all requests, by operation; `now` is put to the stage that runs."""

    stages: dict[str, set[tuple[str, bytes]]] = field(default_factory=dict)
    now: str = ""


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    """Takes note of the keys of everything that is asked."""
    asked, plain = Asked(), loop.request_keys

    def noted(mark: str, operation: Any, *others: Any) -> pl.Series:
        keys = plain(mark, operation, *others)
        found = {(operation, key) for key in keys.to_list()}
        asked.stages.setdefault(asked.now, set()).update(found)
        return keys

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "request_keys", noted)
        yield asked


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, asked: Asked) -> Path:
    """A folder with params.yaml, and all tables of a run."""
    folder = tmp_path_factory.mktemp("base")
    topics = ("the moon", "a river", "bread", "the moon", "a clock", "glass")
    rows = [
        {
            "prompt": f"Why is {topic} as it is, in {3 * n} words?",
            "question": f"What of {topic}, {n}?",
        }
        for n, topic in enumerate(topics)
    ]
    rows += [
        {
            "messages": [{"role": "user", "content": f"Tell me of number {n} and {n * n}."}],
            "turns": [{"role": "user", "content": f"And of number {n}?"}],
        }
        for n in range(2)
    ]
    near = rows[0]["prompt"].replace("0 words", "0  words, please")
    rows.append({"prompt": near, "question": "What else?"})
    # For the settings of labels, which are none of the first run's.
    said = {"response": "So.", "rating": 1, "thumb": "up", "annotator": "a", "group": "g"}
    other = {"answer": "Or so.", "stars": 2, "who": "b", "team": "h", "author": "c"}
    _write(folder / "prompts.jsonl", [{**row, **said, **other} for row in rows])
    pairs = [
        {
            "prompt": [{"role": "user", "content": f"Q{n}?"}],
            "chosen": [{"role": "assistant", "content": f"yes {n}"}],
            "rejected": [{"role": "assistant", "content": f"no {n}"}],
            "source": "s",
            "split": "heldout" if n > 8 else "train",
        }
        for n in range(12)
    ]
    _write(folder / "pairs.jsonl", pairs)
    scripted = {"engine": "scripted"}
    raw = {
        "data": str(folder / "data"),
        "memo": None,
        "buckets": 2,
        "models": {
            "policy": {**scripted, "model": "policy"},
            "reference": {**scripted, "model": "reference"},
            "embedder": {**scripted, "model": "embedder"},
            "twin": {**scripted, "model": "embedder"},
            "other": {**scripted, "model": "other"},
        },
        "ingest": {
            "sources": [{"path": str(folder / "prompts.jsonl")}],
            "max_faulty_fraction": 1,
        },
        "reward_head": {"data": str(folder / "pairs.jsonl"), "out": str(folder / "head")},
        "generate": {"n": 2},
        "judge": {
            "judges": [
                {"kind": "embedding_reward", "head": str(folder / "head")},
                {"kind": "pairwise", "model": "policy"},
                {"kind": "implicit_reward"},
                *({"kind": kind, "model": "policy"} for kind in ASKING if kind != "pairwise"),
            ],
            "consensus": {"kind": "mean", "min_confidence": 0.5},
        },
        "loglikelihood": {"model": "policy"},
        "pair": {"strategy": {"kind": "all_above_margin", "min_margin": 0}},
        "filter": {
            "filters": [
                {"kind": "near_identical", "max_similarity": 1},
                {"kind": "near_duplicates", "max_similarity": 0.5},
                {"kind": "ches", "max_quantile": 0.9},
            ]
        },
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    _run(load_params(folder / "params.yaml"), list(STAGES), asked, "")
    return folder


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def _run(params: Params, stages: list[str], asked: Asked, mark: str) -> None:
    for stage in stages:
        asked.now = mark + stage
        STAGES[stage](params, [], True)


@pytest.mark.parametrize("setting", FLOW)
def test_what_a_change_asks_anew(setting: str, base: Path, asked: Asked, tmp_path: Path) -> None:
    override, expected = FLOW[setting]
    shutil.copytree(base / "data", tmp_path / "data")
    shutil.copytree(base / "head", tmp_path / "copy-of-head")
    shutil.copy(base / "prompts.jsonl", tmp_path / "copy.jsonl")
    shutil.copy(base / "pairs.jsonl", tmp_path / "copy-of-pairs.jsonl")
    (tmp_path / "calibration.json").write_text('{"judges": {}}')
    own = [f"data={tmp_path}/data", f"reward_head.out={tmp_path}/head"]
    params = load_params(base / "params.yaml", [*own, override.format(folder=tmp_path)])
    stages = list(AFTER.get(setting.split(".")[0], tuple(STAGES)))
    _run(params, stages, asked, f"{setting}/")
    before = set().union(*(asked.stages.get(stage, set()) for stage in stages))
    after = set().union(*(asked.stages.get(f"{setting}/{stage}", set()) for stage in stages))
    assert bool(before) == bool(after) == (stages != ["export"])
    found = {
        HIT: after <= before,
        MORE: after > before,
        NEW: bool(after - before) and not after > before,
        MISS: not after & before,
    }
    assert found[expected]


def test_the_order_of_the_judges_asks_nothing_anew(
    base: Path, asked: Asked, tmp_path: Path
) -> None:
    shutil.copytree(base / "data", tmp_path / "data")
    order = "judge.judges=[{kind: implicit_reward}, {kind: pairwise, model: policy}]"
    params = load_params(base / "params.yaml", [f"data={tmp_path}/data", order])
    _run(params, ["judge"], asked, "order/")
    assert set() < asked.stages["order/judge"] < asked.stages["judge"]


@pytest.mark.parametrize("setting", MODEL)
def test_what_a_change_of_a_model_asks_anew(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "_hub_commit", lambda _, params: params.revision or "main")
    plain = ModelParams(model="some/model")
    value, expected = MODEL[setting]
    changed = ModelParams.model_validate({**plain.model_dump(), setting: value})
    one, other = (fingerprint.model_fingerprint("policy", params) for params in (plain, changed))
    assert (one == other) == (expected == HIT)


@pytest.mark.parametrize("option", OPTIONS["scripted"])
def test_what_a_change_of_the_scripted_engine_asks_anew(option: str) -> None:
    value, expected = OPTIONS["scripted"][option]
    plain, changed = (
        ScriptedEngine("policy", ModelParams(engine="scripted", model="m", options=options))
        for options in ({}, {option: value})
    )
    assert (plain.fingerprint == changed.fingerprint) == (expected == HIT)
