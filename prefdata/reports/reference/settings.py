"""What a pydantic model of params.yaml says of its settings: type, default, bounds, description."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union

import yaml
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from prefdata.reports.reference.docstrings import first_sentence

_SCALARS = {
    str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null",
    Any: "anything", JsonValue: "anything",
}  # fmt: skip
_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}

Model = type[BaseModel]

Link = Callable[[Model], str | None]
"""What a model's settings are called where another page describes them; None: they are nested."""


@dataclass(frozen=True)
class Setting:
    """One setting, as the reference gives it.

    Attributes:
        name: Its name; dotted where it stands inside other settings.
        type: The values that it takes, with their bounds.
        required: Whether it has no default.
        default: Its default as YAML in one line; empty if there is none, or none so short.
        long_default: A default that is too long for a table, as YAML; else empty.
        description: What it is for.
        nested: Models of the setting's own, described below it.
        item: What stands between its name and those of its nested settings: a position in a list,
            a name in a mapping.
        field: The field of the model.
    """

    name: str
    type: str
    required: bool
    default: str
    long_default: str
    description: str
    nested: tuple[Model, ...]
    item: str
    field: FieldInfo

    def format_default(self, quote: str = "") -> str:
        """The default as a cell of a table; a value stands between two `quote`s."""
        if self.required:
            return "required"
        if self.long_default:
            return "see below"
        return f"{quote}{self.default}{quote}" if self.default else "not set"


def settings_of(model: type[BaseModel], link: Link, skip: Collection[str] = ()) -> list[Setting]:
    """The model's settings in its order, without those in `skip`."""
    return [
        _setting(field.alias or name, field, link)
        for name, field in model.model_fields.items()
        if name not in skip
    ]


def flatten_settings(
    model: type[BaseModel], link: Link, skip: Collection[str] = (), place: str = ""
) -> Iterator[Setting]:
    """The model's settings, each followed by those inside it, with dotted names below `place`."""
    for setting in settings_of(model, link, skip):
        name = f"{place}.{setting.name}" if place else setting.name
        yield replace(setting, name=name)
        for nested in setting.nested:
            yield from flatten_settings(nested, link, (), name + setting.item)


def _setting(name: str, field: FieldInfo, link: Link) -> Setting:
    bounds = _bounds(field.metadata)
    default, long_default = _default(field)
    nested = tuple(dict.fromkeys(m for m in _models(field.annotation) if link(m) is None))
    return Setting(
        name,
        type=_type(field.annotation, link) + (f", {bounds}" if bounds else ""),
        required=field.is_required(),
        default=default,
        long_default=long_default,
        description=field.description or _describe_nested(nested),
        nested=nested,
        item=_item(field.annotation),
        field=field,
    )


def _item(annotation: Any) -> str:
    """`.N` for a list's items, `.NAME` for those of a mapping."""
    origin = typing.get_origin(annotation)
    if origin in (list, tuple):
        return ".N"
    if origin is dict:
        return ".NAME"
    return next((i for a in typing.get_args(annotation) if (i := _item(a))), "")


def _describe_nested(models: tuple[type[BaseModel], ...]) -> str:
    """What the docstring says of the one model that a setting holds."""
    if len(models) != 1 or models[0].__doc__ == models[0].__base__.__doc__:
        return ""
    return first_sentence(models[0].__doc__)


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
    """The default in one line of YAML, or where that is too long, in several; one of them is empty,
    or both."""
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined:
        return "", ""
    plain = _plain(value)
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000)
    text = text.removesuffix("\n").removesuffix("\n...")
    if len(text) < 60:
        return text, ""
    return "", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


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
