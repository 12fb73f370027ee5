"""Completion in the shell: kinds, places in params.yaml and versions.

A shell waits for it at each press of a key, so it imports nothing heavy: it reads the JSON Schema
of params.yaml that is installed, and params.yaml itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

_GROUPS = {"sources": "prefdata.importers", "consensuses": "prefdata.consensus"}
"""The entry points of plugins, where they are not called as the package."""
_DEEPEST = 8


def complete_parts(incomplete: str) -> list[str]:
    """What `prefdata list` takes."""
    from prefdata.reports.reference.packages import PACKAGES

    return [package.name for package in PACKAGES if package.name.startswith(incomplete)]


def complete_places(incomplete: str) -> list[str]:
    """What `prefdata describe` takes: parts and places in params.yaml."""
    from prefdata.reports.reference.packages import PACKAGES

    schema = _load_schema()
    places = [place for place, _ in _walk(schema, schema, None, "")]
    known = dict.fromkeys([*(package.one for package in PACKAGES), *places])
    return [name for name in known if name.startswith(incomplete)]


def complete_kinds(context: typer.Context, incomplete: str) -> list[str]:
    """The kinds of the part that `prefdata describe` was given."""
    from importlib.metadata import entry_points

    from prefdata.reports.reference.packages import PACKAGES

    what = context.params.get("what")
    for package in PACKAGES:
        if what in (package.one, package.name):
            schema = _load_schema()
            node: Any = schema
            for name in package.section.partition(".NAME")[0].split("."):
                node = _resolve(schema, node)["properties"][name]
            group = _GROUPS.get(package.name, f"prefdata.{package.name}")
            plugins = [point.name for point in entry_points(group=group)]
            kinds = sorted({*_find_kinds(node), *plugins})
            return [kind for kind in kinds if kind.startswith(incomplete)]
    return []


def complete_settings(context: typer.Context, incomplete: str) -> list[str]:
    """What `--set` takes: every key, with those inside the kinds that params.yaml names."""
    schema = _load_schema()
    params = _read_params(context.params.get("params") or "params.yaml")
    keys = (f"{place}=" for place, is_leaf in _walk(schema, schema, params, "") if is_leaf)
    return [key for key in dict.fromkeys(keys) if key.startswith(incomplete)]


def complete_versions(incomplete: str) -> list[str]:
    """The names of the versions of data/dataset, or of another dataset as FOLDER@NAME."""
    from prefdata.dataset.names import name_content

    dataset, at, _ = incomplete.rpartition("@")
    try:
        folders = sorted(os.listdir(os.path.join(dataset or "data/dataset", "versions")))
    except OSError:
        return []
    names = [f"{dataset}{at}{name_content(each)}" for each in folders if each[:5].isalnum()]
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _load_schema() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "schemas" / "params.json"
    schema: dict[str, Any] = json.loads(path.read_bytes())
    return schema


def _read_params(path: str) -> Any:
    """The file's content; None where it can't be read, which the command itself will say."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            return yaml.safe_load(file)
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _walk(
    schema: dict[str, Any], node: Any, value: Any, place: str, depth: int = 0
) -> Iterator[tuple[str, bool]]:
    """(place, whether it holds no others) of all that is at and below a node of the schema.

    Items of lists and mappings, and the settings of kinds, are those of `value`.
    """
    inner = list(_list_inner(schema, node, value)) if depth < _DEEPEST else []
    if place:
        yield place, not inner
    for name, child, held in inner:
        below = f"{place}.{name}" if place else name
        yield from _walk(schema, child, held, below, depth + 1)


def _list_inner(schema: dict[str, Any], node: Any, value: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, node, value) of what is inside a node."""
    node = _resolve(schema, node)
    arms = node.get("anyOf", [])
    tag = node.get("discriminator")
    if tag:
        kind = value.get(tag["propertyName"]) if isinstance(value, dict) else None
        named = tag["mapping"].get(kind)
        arms = [{"$ref": named}] if named else []
    for arm in arms:
        yield from _list_inner(schema, arm, value)
    for name, child in node.get("properties", {}).items():
        yield name, child, value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list) and "items" in node:
        yield from ((str(n), node["items"], item) for n, item in enumerate(value))
    if isinstance(value, dict) and isinstance(node.get("additionalProperties"), dict):
        yield from ((str(n), node["additionalProperties"], item) for n, item in value.items())


def _resolve(schema: dict[str, Any], node: Any) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return dict(node)


def _find_kinds(node: Any) -> list[str]:
    """The kinds that a place in params.yaml may name, alone or in a list or mapping."""
    inside = node.get("items") or node.get("additionalProperties") or node
    return list(inside["discriminator"]["mapping"])
