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
from pydantic import BaseModel

from pipelines.stages import STAGES
from prefdata.config import ModelParams, Params, Part, load_params
from prefdata.consensus.lookup import CONSENSUSES
from prefdata.dataset.exports.lookup import EXPORTS
from prefdata.engines import fingerprint
from prefdata.engines.lookup import ENGINES
from prefdata.engines.scripted import ScriptedEngine, ScriptedOptions
from prefdata.filters.lookup import FILTERS
from prefdata.inference import loop
from prefdata.judges.lookup import JUDGES
from prefdata.pairs.lookup import STRATEGIES

PARTS: dict[str, Mapping[str, Any]] = {
    "judge.judges": JUDGES,
    "judge.consensus": CONSENSUSES,
    "pair.strategy": STRATEGIES,
    "filter.filters": FILTERS,
    "export.format": EXPORTS,
}

# What the second run asks, held against the first one.
HIT = "nothing that the first one did not ask"
MORE = "all that the first one asked, and more"
NEW = "some of it anew"
MISS = "all of it anew"

NEAR_IDENTICAL, DUPLICATES, CHES = 0, 1, 2
EMBEDDING, PAIRWISE, IMPLICIT = 0, 1, 2

FLOW: dict[str, tuple[str, str]] = {
    "data": ("data={folder}/elsewhere", HIT),
    "memo": ("memo={folder}/another-memo", HIT),
    "buckets": ("buckets=8", HIT),
    "ingest.sources.path": ("ingest.sources.0.path={folder}/copy.jsonl", HIT),
    "ingest.sources.format": ("ingest.sources.0.format=jsonl", HIT),
    "ingest.sources.prompt_field": ("ingest.sources.0.prompt_field=question", NEW),
    "ingest.sources.messages_field": ("ingest.sources.0.messages_field=turns", NEW),
    "ingest.sources.limit": ("ingest.sources.0.limit=3", HIT),
    "ingest.test_fraction": ("ingest.test_fraction=0.5", HIT),
    "ingest.max_prompt_chars": ("ingest.max_prompt_chars=99", HIT),
    "ingest.max_rejected_fraction": ("ingest.max_rejected_fraction=1", HIT),
    "reward_head.data": ("reward_head.data={folder}/copy-of-pairs.jsonl", HIT),
    "reward_head.model": ("reward_head.model=other", MISS),
    "reward_head.l2": ("reward_head.l2=7", HIT),
    "reward_head.out": ("reward_head.out={folder}/another-head", HIT),
    "generate.model": ("generate.model=other", MISS),
    "generate.n": ("generate.n=3", MORE),
    "generate.temperature": ("generate.temperature=0.9", MISS),
    "generate.top_p": ("generate.top_p=0.9", MISS),
    "generate.top_k": ("generate.top_k=7", MISS),
    "generate.max_tokens": ("generate.max_tokens=511", MISS),
    "generate.stop": ("generate.stop=[END]", MISS),
    "generate.seed": ("generate.seed=1", MISS),
    "generate.max_rejected_fraction": ("generate.max_rejected_fraction=1", HIT),
    "judge.judges.kind": ("judge.judges=[{{kind: pairwise, model: policy}}]", HIT),
    "judge.judges.embedding_reward.name": (f"judge.judges.{EMBEDDING}.name=x", HIT),
    "judge.judges.embedding_reward.model": (f"judge.judges.{EMBEDDING}.model=twin", HIT),
    "judge.judges.embedding_reward.head": (
        f"judge.judges.{EMBEDDING}.head={{folder}}/copy-of-head",
        HIT,
    ),
    "judge.judges.pairwise.name": (f"judge.judges.{PAIRWISE}.name=x", HIT),
    "judge.judges.pairwise.model": (f"judge.judges.{PAIRWISE}.model=other", NEW),
    "judge.judges.implicit_reward.name": (f"judge.judges.{IMPLICIT}.name=x", HIT),
    "judge.judges.implicit_reward.policy": (f"judge.judges.{IMPLICIT}.policy=other", NEW),
    "judge.judges.implicit_reward.reference": (f"judge.judges.{IMPLICIT}.reference=other", NEW),
    "judge.judges.implicit_reward.beta": (f"judge.judges.{IMPLICIT}.beta=0.5", HIT),
    "judge.judges.implicit_reward.per_token": (f"judge.judges.{IMPLICIT}.per_token=true", HIT),
    "judge.consensus.kind": ("judge.consensus.kind=scir", HIT),
    **{
        f"judge.consensus.{kind}.{name}": (
            f"judge.consensus={{{{kind: {kind}, {name}: {value}}}}}",
            HIT,
        )
        for kind in ("mean", "scir")
        for name, value in (("min_opinions", 2), ("min_confidence", 0.9))
    },
    "judge.max_rejected_fraction": ("judge.max_rejected_fraction=1", HIT),
    "pair.strategy.kind": ("pair.strategy={{kind: best_worst}}", HIT),
    "pair.strategy.all_above_margin.min_margin": ("pair.strategy.min_margin=0.3", HIT),
    "augment.rewards": ("augment.rewards=[embedding_reward]", HIT),
    "filter.filters.kind": ("filter.filters=[{{kind: ches, max_value: 0}}]", MORE),
    "filter.filters.ches.model": (f"filter.filters.{CHES}.model=other", MISS),
    "filter.filters.ches.score": (f"filter.filters.{CHES}.score=ches", HIT),
    "filter.filters.ches.max_quantile": (f"filter.filters.{CHES}.max_quantile=0.2", HIT),
    "filter.filters.ches.max_value": (
        f"filter.filters.{CHES}={{{{kind: ches, max_value: -1}}}}",
        HIT,
    ),
    "filter.filters.near_duplicate_prompts.max_similarity": (
        f"filter.filters.{DUPLICATES}.max_similarity=1",
        MORE,
    ),
    "filter.filters.near_identical.max_similarity": (
        f"filter.filters.{NEAR_IDENTICAL}.max_similarity=0.3",
        HIT,
    ),
    "filter.max_rejected_fraction": ("filter.max_rejected_fraction=1", HIT),
    "export.format.kind": ("export.format.kind=trl", HIT),
    "export.name": ("export.name=other", HIT),
    "export.license": ("export.license=mit", HIT),
}

# Of a model that is no folder here; `revision` names the commit that `model_fingerprint` finds.
MODEL: dict[str, tuple[Any, str]] = {
    "engine": ("sentence", MISS),
    "model": ("another/model", MISS),
    "revision": ("v2", MISS),
    "dtype": ("bfloat16", MISS),
    "device": ("cuda:1", HIT),
    "max_batch_tokens": (7, HIT),
    "max_batch_rows": (7, HIT),
    "options": ({"any": "thing"}, HIT),
    "prices": ({"input_per_million": 7.0}, HIT),
}

OPTIONS: dict[str, dict[str, tuple[Any, str]]] = {
    "scripted": {
        "answers": ({"2 + 2": "4"}, MISS),
        "answer_chars": (7, MISS),
        "dimension": (3, MISS),
        "fail": (["poison"], HIT),
        "latency_seconds": (1.0, HIT),
    },
    "openai": {},  # tests/engines/openai/test_options.py
    "sentence": {},
    "transformers": {},
}

AFTER: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", "generate"),
    "reward_head": ("reward-head",),
    "generate": ("generate",),
    "judge": ("judge",),
    "pair": ("pair", "augment", "filter"),
    "augment": ("augment", "filter"),
    "filter": ("filter",),
    "export": ("export",),
}
"""The stages that a section concerns, as far as the next one that asks models."""


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
    _write(folder / "prompts.jsonl", rows)
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
            "max_rejected_fraction": 1,
        },
        "reward_head": {"data": str(folder / "pairs.jsonl"), "out": str(folder / "head")},
        "generate": {"n": 2},
        "judge": {
            "judges": [
                {"kind": "embedding_reward", "head": str(folder / "head")},
                {"kind": "pairwise", "model": "policy"},
                {"kind": "implicit_reward"},
            ],
            "consensus": {"kind": "mean", "min_confidence": 0.5},
        },
        "pair": {"strategy": {"kind": "all_above_margin", "min_margin": 0}},
        "filter": {
            "filters": [
                {"kind": "near_identical", "max_similarity": 1},
                {"kind": "near_duplicate_prompts", "max_similarity": 0.5},
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
    changed = override.format(folder=tmp_path)
    params = load_params(base / "params.yaml", [f"data={tmp_path}/data", changed])
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
