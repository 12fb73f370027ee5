"""Validation of settings, with errors that name the key as params.yaml has it."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, ValidationError

from prefdata.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

_TAGS = ("kind", "engine")
"""Fields that tell the models of a union apart."""


def validate(model: type[Model], raw: Any, where: str = "") -> Model:
    """The model from raw settings. `where`, such as params.yaml, heads the error message.

    Raises:
        ConfigError: Some keys are wrong: one line for each, with the valid keys where one is
            unknown.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(model, dict(each)) for each in error.errors()]
        # pydantic's own error repeats the input, which may hold a key by mistake.
        raise ConfigError("\n  ".join([f"{where}:", *lines])) from None


def _explain(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    path: list[str] = []
    kind = error["type"]
    models = _models_at(model, error["loc"], path)
    if kind == "extra_forbidden":
        models = _models_at(model, error["loc"][:-1], [])
        valid = ", ".join(sorted(models[0].model_fields)) if models else "unknown"
        return f"{'.'.join(path)}: unknown key; valid here: {valid}"
    where = ".".join(path)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = error["ctx"]["discriminator"].strip("'")
        known = ", ".join(sorted(str(m.model_fields[tag].default) for m in models))
        problem = f"{error['ctx']['tag']!r} is unknown" if "tag" in error["ctx"] else "missing"
        return f"{where}.{tag}: {problem}; known: {known}".lstrip(".")
    if kind == "literal_error" and error["loc"][-1] in _TAGS:
        # A registry with a single part has no union, so its kind is a plain literal.
        known = error["ctx"]["expected"].replace("'", "")
        return f"{where}: {error['input']!r} is unknown; known: {known}"
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
        path.extend(map(str, loc))
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
