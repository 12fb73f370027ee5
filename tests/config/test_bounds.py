"""Nonsense is refused where it stands: every number of params.yaml has bounds, in every kind."""

from __future__ import annotations

import datetime
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flows
import pytest
from parts.kinds import KINDS, REGISTRIES, read_example
from pydantic import BaseModel

from prefdata.config import Params, load_params
from prefdata.engines.registry import ENGINES
from prefdata.errors import ConfigError, PrefdataError
from prefdata.parts.validation import validate

NO_NUMBERS = (math.nan, math.inf, -math.inf, True)
ABSURD = (
    *NO_NUMBERS, None, -1, 0, 2**31, 2**63, 2**64, 10**30, 1e-320, 1e30, "", " ", "\0", "\ud800",
    "(", "x" * 5000, "../..", "{", '{"$schema":5}', datetime.date(2026, 1, 1), b"x", set(),
    [], [""], [None], [[]], ["a", "a"], ["\0"], ["("], {}, {"": ""}, {"a": math.nan}, {1: 2},
    {"a": 2**70}, {"a": "\0"},
)  # fmt: skip
LOADS = ("language", "offensive", "personal_data")
"""Kinds whose setup loads a model, which takes seconds."""


def list_models(annotation: Any, seen: set[type]) -> Iterator[type[BaseModel]]:
    """Every model of settings that the annotation leads to."""
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if is_model and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from list_models(field.annotation, seen)
    for argument in typing.get_args(annotation):
        yield from list_models(argument, seen)


MODELS = [m for m in list_models(Params, set()) if m.__module__.startswith("prefdata.")]


def list_numbers(schema: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number in a JSON Schema, with its place; of named values that are passed on, none."""
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            yield where, schema
        for key, value in schema.items():
            yield from list_numbers(value, f"{where}.{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from list_numbers(value, where)


def takes_a_number(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (list, dict, tuple):
        return False
    return annotation in (int, float) or any(map(takes_a_number, typing.get_args(annotation)))


def test_every_number_has_a_lower_and_an_upper_bound() -> None:
    numbers = list(list_numbers(Params.model_json_schema(), "params"))
    assert len(numbers) > 100
    for where, schema in numbers:
        assert {"minimum", "exclusiveMinimum"} & set(schema), where
        assert {"maximum", "exclusiveMaximum"} & set(schema), where


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_number_is_infinite_or_none_or_true(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        for value in NO_NUMBERS if takes_a_number(field.annotation) else ():
            with pytest.raises(ConfigError, match=rf"\b{name}\b"):
                validate(model, {name: value}, "here")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_absurd_values_of_a_section_end_in_our_error(model: type[BaseModel]) -> None:
    for name in model.model_fields:
        for value in ABSURD:
            try:
                validate(model, {name: value}, "here")
            except ConfigError as error:
                assert str(error).startswith("here:")


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_absurd_values_of_a_part_end_in_our_error(name: str, kind: str) -> None:
    registry = REGISTRIES[name]
    for setting in registry.parts[kind].config_type.model_fields:
        for value in ABSURD:
            try:
                part = registry.parse({**read_example(name, kind), setting: value})
                part.requirements()
                if kind not in LOADS:
                    part.setup()
            except PrefdataError as error:
                assert str(error)


@pytest.mark.parametrize("engine", ENGINES.parts)
def test_absurd_values_of_an_engine_end_in_our_error(engine: str) -> None:
    example = {"engine": engine, **ENGINES.parts[engine].example}
    options = ENGINES.parts[engine].model_fields["options"].annotation
    for value in ABSURD:
        for setting in ENGINES.parts[engine].model_fields:
            try_model({**example, setting: value})
        for option in getattr(options, "model_fields", ()):
            given = {**example.get("options", {}), option: value}
            try_model({**example, "options": given})


def try_model(settings: dict[str, Any]) -> None:
    try:
        ENGINES.parse(settings, "models.m")
    except PrefdataError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("generate.n=1e30", "generate.n: Input should be a valid integer"),
        ("generate.n=2147483648", "generate.n: Input should be less than or equal to 10000"),
        ("generate.n=yes", "generate.n: Value error, a number was expected, found true"),
        ("generate.temperature=.inf", "generate.temperature: Input should be less than"),
        ("generate.stop=['']", "generate.stop.0: String should have at least 1 character"),
        ("filter.filters=[{kind: ches, max_value: .nan}]", "filter.filters.0.max_value: Input"),
        ("generate.chat_template_kwargs={a: .nan}", "chat_template_kwargs: Value error, Out of"),
        ("memo=2024-13-45", "--set memo=2024-13-45: the value is not YAML: month must be"),
        ('data="\\0"', "data: holds a NUL character"),
    ],
)
def test_nonsense_is_refused(override: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_params(flows.write_params(tmp_path), [override])
    assert says in str(caught.value)


def test_what_makes_sense_is_taken(tmp_path: Path) -> None:
    """Best of 10,000; a context of 10 million tokens; any seed of 64 bits; a stop at a blank."""
    given = {
        "n": 10_000, "max_tokens": 10_000_000, "temperature": 2.5, "seed": -(2**63), "top_k": 2**20,
        "stop": "['\\n', ' ']", "max_faulty_fraction": 1,
    }  # fmt: skip
    overrides = [f"generate.{name}={value}" for name, value in given.items()]
    assert load_params(flows.write_params(tmp_path), overrides).generate.n == 10_000
    ches = "filter.filters=[{kind: ches, max_value: -1.5e9}]"
    assert load_params(flows.write_params(tmp_path), [ches]).filter.filters
