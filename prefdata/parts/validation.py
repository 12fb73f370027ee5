"""Validation of settings, with errors that name the key as params.yaml has it."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, ValidationError

from prefdata.errors import ConfigError
from prefdata.text.similar_names import suggest_name

Model = TypeVar("Model", bound=BaseModel)

_NO_TEXT = "holds a NUL character or half of a surrogate pair"
_LONE = re.compile("[\ud800-\udfff]")

_TAGS = ("kind", "engine")
"""Fields that tell the models of a union apart."""


def validate(
    model: type[Model], raw: Any, where: str = "", origins: Mapping[str, str] | None = None
) -> Model:
    """The model from raw settings.

    Args:
        model: The model.
        raw: The settings.
        where: Where they come from, such as params.yaml; it heads the error message.
        origins: Key -> where its value comes from instead, such as `--set generate.n=x`.

    Raises:
        ConfigError: Some keys are wrong: one line for each, under the place that it comes from,
            with the valid keys where one is unknown.
    """
    found = [(path, f"{'.'.join(path)}: {_NO_TEXT}".lstrip(": ")) for path in _find_no_texts(raw)]
    if not found:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for each in error.errors():
                path: list[str] = []
                line = _explain(model, dict(each), path)
                found.append((path, line))
    lines: dict[str, list[str]] = {}
    for path, line in found:
        lines.setdefault(_find_origin(path, where, origins or {}), []).append(line)
    # pydantic's own error repeats the input, which may hold a key by mistake.
    text = "\n".join("\n  ".join([f"{place}:", *wrong]) for place, wrong in lines.items())
    raise ConfigError(text) from None


def _find_no_texts(raw: Any) -> Iterator[list[str]]:
    """The places of texts that neither a file's name nor a model's input can be."""
    # YAML can say a value that holds itself, and one value in very many places.
    seen: set[int] = set()
    waiting: list[tuple[list[str], Any]] = [([], raw)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            if "\0" in value or (not value.isascii() and _LONE.search(value)):
                yield path
        elif isinstance(value, Mapping | list) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, item in items:
                waiting += [(path, key), ([*path, str(key)], item)]


def _find_origin(path: Sequence[str], where: str, origins: Mapping[str, str]) -> str:
    """The place that the value at `path`, or a part of it, comes from."""
    for key, origin in origins.items():
        keys = key.split(".")
        if list(path[: len(keys)]) == keys:
            return origin
    inside = [o for key, o in origins.items() if key.split(".")[: len(path)] == list(path)]
    return f"{where}, with {' '.join(inside)}" if inside else where


def _explain(model: type[BaseModel], error: Mapping[str, Any], path: list[str]) -> str:
    """The error in a line. `path` gets the keys that lead to it, as params.yaml has them."""
    kind = error["type"]
    models = _models_at(model, error["loc"], path)
    if kind == "extra_forbidden":
        models = _models_at(model, error["loc"][:-1], [])
        known = sorted(models[0].model_fields) if models else []
        meant = suggest_name(str(error["loc"][-1]), known)
        return f"{'.'.join(path)}: unknown key{meant}; valid here: {', '.join(known) or 'unknown'}"
    where = ".".join(path)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = error["ctx"]["discriminator"].strip("'")
        known = sorted(str(m.model_fields[tag].default) for m in models)
        given = error["ctx"].get("tag")
        problem = "missing" if given is None else f"{given!r} is unknown"
        meant = "" if given is None else suggest_name(given, known)
        return f"{where}.{tag}: {problem}{meant}; known: {', '.join(known)}".lstrip(".")
    if kind == "literal_error" and error["loc"][-1] in _TAGS:
        # A registry with a single part has no union, so its kind is a plain literal.
        expected = error["ctx"]["expected"].replace("'", "")
        meant = suggest_name(str(error["input"]), [expected])
        return f"{where}: {error['input']!r} is unknown{meant}; known: {expected}"
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _models_at(annotation: Any, loc: Sequence[int | str], path: list[str]) -> list[type[BaseModel]]:
    """The models that `loc` leads to, through lists, mappings, optional fields and unions; several
    where it ends at a union. `path` gets the keys as params.yaml has them: without the tags by
    which pydantic names the arm of a union."""
    if typing.get_origin(annotation) is Annotated:
        return _models_at(typing.get_args(annotation)[0], loc, path)
    if typing.get_origin(annotation) in (list, tuple, dict):
        if not loc:
            return []
        path.append(str(loc[0]))
        return _models_at(typing.get_args(annotation)[-1], loc[1:], path)
    arms = _arms(annotation)
    if not any(_is_model(arm) for arm in arms):
        nested = [arm for arm in arms if typing.get_origin(arm) in (list, tuple, dict)]
        if nested:
            return _models_at(nested[0], loc, path)
        # What is left of `loc` are pydantic's names of a union's arms.
        return []
    models = [arm for arm in arms if _is_model(arm)]
    if not loc:
        return models
    if len(models) > 1:
        return _models_at(_tagged(models, loc[0]) or models[0], loc[1:], path)
    path.append(str(loc[0]))
    field = models[0].model_fields.get(str(loc[0]))
    if field is None:
        path.extend(map(str, loc[1:]))
        return []
    return _models_at(field.annotation, loc[1:], path)


def _arms(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [each for arm in typing.get_args(annotation) for each in _arms(arm)]
    if typing.get_origin(annotation) is Annotated:
        return _arms(typing.get_args(annotation)[0])
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _tagged(models: Sequence[type[BaseModel]], tag: int | str) -> type[BaseModel] | None:
    for model in models:
        if any(n in model.model_fields and model.model_fields[n].default == tag for n in _TAGS):
            return model
    return None
