"""What a pydantic model of params.yaml says of its settings: type, default, bounds, description."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reference.markdown import link_papers, sentence, table

_SCALARS = {
    str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null",
    Any: "anything",
}  # fmt: skip
_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}

Link = Callable[[type[BaseModel]], str | None]
"""What a model's settings are called where another page describes them; None: they are nested."""


@dataclass(frozen=True)
class Setting:
    """One setting, as the reference gives it."""

    name: str
    type: str
    default: str
    description: str
    nested: tuple[type[BaseModel], ...]
    """Models of the setting's own, described below it."""
    long_default: str
    """A default that is too long for a table, as YAML; else empty."""


def settings_of(model: type[BaseModel], link: Link, skip: Collection[str] = ()) -> list[Setting]:
    """The model's settings in its order, without those in `skip`."""
    return [
        _setting(field.alias or name, field, link)
        for name, field in model.model_fields.items()
        if name not in skip
    ]


def settings_table(settings: Collection[Setting], again: Collection[str] | None = None) -> str:
    """A row per setting; `again` names those whose change asks models anew."""
    head = ["setting", "type", "default", "description"]
    rows = []
    for each in settings:
        mark = " *Asks models again.*" if again and each.name in again else ""
        rows.append([f"`{each.name}`", each.type, each.default, each.description + mark])
    return table(head, rows)


def _setting(name: str, field: FieldInfo, link: Link) -> Setting:
    bounds = _bounds(field.metadata)
    default, long_default = _default(field)
    nested = tuple(dict.fromkeys(m for m in _models(field.annotation) if link(m) is None))
    return Setting(
        name,
        _type(field.annotation, link) + (f", {bounds}" if bounds else ""),
        default,
        link_papers(field.description or _describe_nested(nested)),
        nested,
        long_default,
    )


def _describe_nested(models: tuple[type[BaseModel], ...]) -> str:
    """What the docstring says of the one model that a setting holds."""
    if len(models) != 1 or models[0].__doc__ == models[0].__base__.__doc__:
        return ""
    return sentence(models[0].__doc__)


def _type(annotation: Any, link: Link) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        inner, *metadata = arguments
        bounds = _bounds(metadata)
        return _type(inner, link) + (f" {bounds}" if bounds else "")
    if origin is Literal:
        named = ", ".join(f"`{value}`" for value in arguments)
        return f"one of {named}" if len(arguments) > 1 else named
    if origin in (Union, types.UnionType):
        arms = list(dict.fromkeys(_type(a, link) for a in arguments if a is not type(None)))
        return " or ".join(arms)
    if origin in (list, tuple, set, frozenset):
        return f"list of {_type(arguments[0], link)}" if arguments else "list"
    if origin is dict:
        return f"mapping of names to {_type(arguments[1], link)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return link(annotation) or "mapping"
    return _SCALARS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: Collection[Any]) -> str:
    parts = []
    for each in metadata:
        if isinstance(each, FieldInfo):
            each_bounds = _bounds(each.metadata)
            parts += [each_bounds] if each_bounds else []
        for name, word in _BOUNDS.items():
            value = getattr(each, name, None)
            if value is not None:
                parts.append(f"{word} {value:,}")
        least = getattr(each, "min_length", None)
        if least:
            parts.append("not empty" if least == 1 else f"at least {least} items")
    return ", ".join(parts)


def _default(field: FieldInfo) -> tuple[str, str]:
    """The default as a cell; where it is too long for one, a pointer and the default as YAML."""
    if field.is_required():
        return "required", ""
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "not set", ""
    plain = _plain(value)
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000)
    text = text.removesuffix("\n").removesuffix("\n...")
    if len(text) < 60:
        return f"`{text}`", ""
    return "see below", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True) or value.model_dump(
            mode="json", include={"kind"}
        )
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)
