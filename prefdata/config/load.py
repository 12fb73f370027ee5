"""Reading params.yaml, with errors that name the key and its valid values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.parts.validation import validate


def load_params(path: str | Path, overrides: Sequence[str] = ()) -> Params:
    """Read and check a params.yaml.

    Args:
        path: The file.
        overrides: `section.key=value`, with the value as YAML.

    Raises:
        ConfigError: The file can't be read, or a setting is wrong.
    """
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
    return validate(Params, raw, where=str(path))


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
