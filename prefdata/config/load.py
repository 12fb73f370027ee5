"""Reading params.yaml, with errors that name the key and what it may be."""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from prefdata.config.params import Params
from prefdata.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Kind = TypeVar("Kind")


def load_params(path: str | Path, overrides: Sequence[str] = ()) -> Params:
    """Read and check `path`. `overrides` are `section.key=value`, the value read as YAML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: can't be read ({error})", "Name the file with --params."
        ) from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a mapping of sections was expected, found {raw!r:.60}")
    for override in overrides:
        _override(raw, override)
    return validated(Params, raw, where=str(path))


def validated(model: type[Model], raw: Any, where: str) -> Model:
    """`model` from `raw`, or a ConfigError that names each key and lists the valid ones."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(model, e["loc"], e["type"], e["msg"]) for e in error.errors()]
        raise ConfigError("\n  ".join([f"{where}:", *lines])) from error


def known(kinds: Mapping[str, Kind], kind: str, where: str) -> Kind:
    """What goes by the name `kind`, or a ConfigError that lists the names there are."""
    if kind not in kinds:
        raise ConfigError(f"{where}.kind: {kind!r} is unknown; known: {', '.join(kinds)}")
    return kinds[kind]


def fingerprint(config: BaseModel) -> str:
    """32 hex characters over the configuration's content, whatever the order of its keys."""
    import orjson

    content = orjson.dumps(config.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:32]


def _override(raw: dict[str, Any], override: str) -> None:
    path, sign, value = override.partition("=")
    *parents, last = path.split(".")
    if not sign or not last:
        raise ConfigError(f"--set {override}: section.key=value was expected")
    node: Any = raw
    for key in parents:
        node = _child(node, key, override)
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {error}") from error
    if isinstance(node, list):
        node[_position(node, last, override)] = parsed
    else:
        node[last] = parsed


def _child(node: Any, key: str, override: str) -> Any:
    if isinstance(node, list):
        child = node[_position(node, key, override)]
    else:
        child = node.setdefault(key, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"--set {override}: {key} holds a value, not a section")
    return child


def _position(node: list[Any], key: str, override: str) -> int:
    if not key.isdecimal() or int(key) >= len(node):
        raise ConfigError(f"--set {override}: {key} is no position of a list of {len(node)}")
    return int(key)


def _explain(model: type[BaseModel], loc: tuple[int | str, ...], kind: str, message: str) -> str:
    where = ".".join(str(part) for part in loc)
    if kind != "extra_forbidden":
        return f"{where}: {message}"
    owner = _descend(model, loc[:-1])
    valid = ", ".join(sorted(owner.model_fields)) if owner else "unknown"
    return f"{where}: unknown key; valid here: {valid}"


def _descend(annotation: Any, loc: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that `loc` leads to, through lists, mappings and optional fields."""
    arms = typing.get_args(annotation)
    if typing.get_origin(annotation) in (list, dict):
        return _descend(arms[-1], loc[1:]) if loc else None
    for arm in arms or (annotation,):
        if isinstance(arm, type) and issubclass(arm, BaseModel):
            if not loc:
                return arm
            field = arm.model_fields.get(str(loc[0]))
            return _descend(field.annotation, loc[1:]) if field else None
    return None
