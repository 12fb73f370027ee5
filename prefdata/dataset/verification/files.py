"""Whether a dataset's files are the ones that its manifest lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from prefdata.dataset.hub.publication import PUBLICATION, parse_publication
from prefdata.dataset.manifest import MANIFEST, FileEntry, Manifest, read_manifest
from prefdata.dataset.pointer import find_newest
from prefdata.errors import TableError
from prefdata.files import storage

_AT_ONCE = 16
"""Files in memory at a time."""

_DEPTH = 3
"""Of a file of a version: the file itself, the folder of its export, the version."""


def list_damage(folder: str, files: Iterable[FileEntry]) -> list[str]:
    """What is wrong with the files of a dataset: each that is missing or damaged, and why.

    Args:
        folder: The folder of the version; the files' paths are relative to it.
        files: The files as the manifest has them; see `Manifest.list_files`.
    """
    found, listed = [], list(files)
    for start in range(0, len(listed), _AT_ONCE):
        entries = listed[start : start + _AT_ONCE]
        paths = [storage.join(folder, entry.path) for entry in entries]
        for entry, path, content in zip(entries, paths, storage.read_many(paths), strict=True):
            problem = describe_damage(entry, content)
            if problem:
                found.append(f"{path}: {problem}")
    return found


def list_entries(folder: str, manifest: Manifest) -> list[FileEntry]:
    """The files that are to be in a version's folder: those of its manifest; in a copy of what was
    published also what was added, and the published card in place of its own. Raises TableError
    where publication.json can't be read."""
    entries = {entry.path: entry for entry in manifest.list_files()}
    content = storage.read_bytes(storage.join(folder, PUBLICATION))
    if content is not None:
        publication = parse_publication(content, storage.join(folder, PUBLICATION))
        entries |= {entry.path: entry for entry in publication.files}
    return list(entries.values())


def describe_damage(entry: FileEntry, content: bytes | None) -> str:
    """What is wrong with the content of a file; empty where it is the one that the manifest lists.
    None: there is no such file."""
    if content is None:
        return "missing, though the manifest lists it"
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        return "damaged: its content is not what the manifest says"
    return ""


def refuse_damage(path: str) -> None:
    """Raise TableError where the path is a dataset of prefdata, a version of one, or something in a
    version, and what lies there is not what the manifest says. Other paths are let through."""
    folder = find_newest(path.rstrip("/"))
    for _ in range(_DEPTH):
        content = storage.read_bytes(storage.join(folder or ".", MANIFEST)) or b""
        # Others have manifests, too.
        if b'"content_version"' in content:
            break
        folder = os.path.dirname(folder)
    else:
        return
    folder, inside = folder or ".", path.rstrip("/")
    files = list_entries(folder, read_manifest(folder))
    below = [f for f in files if f"{storage.join(folder, f.path)}/".startswith(f"{inside}/")]
    damage = list_damage(folder, below or files)
    if damage:
        raise TableError("; ".join(damage), "Export it again, or fetch it again.")
