"""Completion in the shell: kinds, places in params.yaml and versions.

A shell waits for it at each press of a key, so it imports nothing heavy: it reads the JSON Schema
of params.yaml that is installed, and params.yaml itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

_GROUPS = {"sources": "prefdata.importers", "consensuses": "prefdata.consensus"}
"""The entry points of plugins, where they are not called as the package."""
_KIND = re.compile(r'^    kind: Literal\["(\w+)"\]', re.M)
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
    return [k for k in _list_kinds(context.params.get("what")) if k.startswith(incomplete)]


def complete_consumers(incomplete: str) -> list[str]:
    """What `prefdata check --for` takes."""
    return [kind for kind in _list_kinds("consumers") if kind.startswith(incomplete)]


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


def _list_kinds(what: str | None) -> list[str]:
    """The kinds of a package, by its name or by what one of its parts is called."""
    from importlib.metadata import entry_points

    from prefdata.reports.reference.packages import PACKAGES

    for package in PACKAGES:
        if what in (package.one, package.name):
            own = _find_kinds(package.section) if package.section else _read_kinds(package.module)
            group = _GROUPS.get(package.name, f"prefdata.{package.name}")
            return sorted({*own, *(point.name for point in entry_points(group=group))})
    return []


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


def _find_kinds(section: str) -> list[str]:
    """The kinds that a place in params.yaml may name, alone or in a list or mapping."""
    schema = _load_schema()
    node: Any = schema
    for name in section.partition(".NAME")[0].split("."):
        node = _resolve(schema, node)["properties"][name]
    inside = node.get("items") or node.get("additionalProperties") or node
    return list(inside["discriminator"]["mapping"])


def _read_kinds(registry: str) -> list[str]:
    """The kinds of a package that params.yaml does not name, read off its files."""
    folder = Path(__file__).parents[2].joinpath(*registry.split(".")[:-1])
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    return [kind for text in texts for kind in _KIND.findall(text)]
