"""What answered the calls that a memo keeps: packages with their versions, device, number type.

It lies beside the segments, in MEMO/versions/MODEL/, one file for each description that any run
had. It is no part of a request's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import orjson

from prefdata.files import storage

FOLDER = "versions"
_MODEL_CHARS = 16


def note_versions(memo: str, model: str, versions: Mapping[str, str]) -> None:
    """Keep what answers for a model, by its fingerprint; what is kept already is left alone."""
    content = orjson.dumps(dict(versions), option=orjson.OPT_SORT_KEYS)
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.json"
    folder = locate_versions(memo, model)
    if name not in storage.list_names(folder):
        storage.write_bytes(storage.join(folder, name), content, setting="memo")


def read_versions(memo: str, model: str) -> list[dict[str, str]]:
    """All that has answered for a model, sorted; nothing for calls from before it was kept."""
    folder = locate_versions(memo, model)
    contents = [storage.read_bytes(storage.join(folder, n)) for n in storage.list_names(folder)]
    return sorted((orjson.loads(c) for c in contents if c), key=lambda each: sorted(each.items()))


def locate_versions(memo: str, model: str) -> str:
    """The folder of a model's descriptions."""
    return storage.join(memo, FOLDER, model[:_MODEL_CHARS])
