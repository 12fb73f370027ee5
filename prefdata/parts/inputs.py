"""The files that settings name: what counts is their content, not where they lie."""

from __future__ import annotations

import glob
import hashlib
import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, JsonValue

from prefdata.files.storage import is_remote


class _NamesInput:
    """Marks a setting that names files."""


InputPath = Annotated[str, _NamesInput()]
"""A setting that names a file, a folder or a pattern, whose content is read."""


class _ChangesNoRow:
    """Marks a setting on which no row depends."""


CHANGES_NO_ROW = _ChangesNoRow()
"""Marks a setting on which no row depends: changing it makes nothing anew."""

LicenseId = Annotated[
    str | None, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$"), CHANGES_NO_ROW
]
"""A setting with the licence of something, as Hugging Face or SPDX calls it."""

_LIMITS = frozenset({"max_faulty_fraction", "keep_versions"})
"""Settings that change no row."""


def describe_settings(config: BaseModel) -> dict[str, JsonValue]:
    """The settings on which rows depend, as JSON. A file that is here is described by its name and
    its content, so that the same settings are the same in every folder."""
    idle = {n for n, f in type(config).model_fields.items() if CHANGES_NO_ROW in f.metadata}
    described = config.model_dump(mode="json", exclude={*_LIMITS, *idle})
    for name, field in type(config).model_fields.items():
        if name in described:
            is_input = any(_is_marked(part) for part in (*field.metadata, field.annotation))
            described[name] = _describe(getattr(config, name), described[name], is_input)
    return described


def name_path(path: str) -> str:
    """The path as params.yaml has it; of an absolute one the last name, which is the same on
    every machine."""
    return os.path.basename(path.rstrip("/")) if os.path.isabs(path) else path


def _describe(value: Any, dumped: Any, is_input: bool) -> Any:
    if isinstance(value, BaseModel):
        return describe_settings(value)
    if isinstance(value, list | tuple):
        pairs = zip(value, dumped, strict=True)
        return [_describe(item, as_json, is_input) for item, as_json in pairs]
    return _describe_path(value) if is_input and isinstance(value, str) else dumped


def _is_marked(annotation: Any) -> bool:
    parts = (*typing.get_args(annotation), *getattr(annotation, "__metadata__", ()))
    return isinstance(annotation, _NamesInput) or any(_is_marked(part) for part in parts)


def _describe_path(path: str) -> dict[str, JsonValue]:
    """{name, sha256}; sha256 is null where nothing of that name is on this machine."""
    files = [] if is_remote(path) else list(_list_files(os.path.expanduser(path)))
    if not files:
        return {"name": name_path(path), "sha256": None}
    state = hashlib.sha256()
    for name, file in files:
        with open(file, "rb") as content:
            digest = hashlib.file_digest(content, "sha256")
        state.update(name.encode() + b"\0" + digest.digest())
    return {"name": name_path(path), "sha256": state.hexdigest()}


def _list_files(path: str) -> Iterator[tuple[str, str]]:
    """(name below the path, path) of every file, sorted."""
    if os.path.isfile(path):
        yield "", path
    elif os.path.isdir(path):
        for file in sorted(Path(path).rglob("*")):
            if file.is_file():
                yield str(file.relative_to(path)), str(file)
    else:
        for match in sorted(glob.glob(path, recursive=True)):
            if os.path.isfile(match):
                yield os.path.basename(match), match
