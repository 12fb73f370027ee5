"""Bringing a published record back: the tables of a run, as they were, in a data folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

from prefdata.dataset.hub.client import DATASET, call
from prefdata.dataset.hub.publication import RECORD, Publication
from prefdata.dataset.hub.push import check_repo, read_published
from prefdata.dataset.hub.record import DROPPED
from prefdata.dataset.manifest import PARAMS, FileEntry
from prefdata.errors import ConfigError, TableError
from prefdata.files import storage
from prefdata.tables.catalog import DROPPING, TABLES
from prefdata.tables.layout import INFO_NAME

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_FILE = re.compile(rf"{re.escape(INFO_NAME)}|bucket-\d{{5}}-of-\d{{5}}\.parquet")
_KNOWN = {*TABLES, *(f"{DROPPED}/{stage}" for stage in DROPPING)}


@dataclass(frozen=True)
class Fetched:
    """A record that was brought.

    Attributes:
        repo: The repository.
        revision: The commit.
        publication: What was published.
        settings: Those of params.yaml, as they were published: without secrets and folders.
    """

    repo: str
    revision: str
    publication: Publication
    settings: dict[str, Any]


def fetch_record(
    name: str, data: str, api: HfApi, note: Callable[[str], None] = lambda text: None
) -> Fetched:
    """Bring the tables of a published run into a data folder. What was downloaded before a kill is
    not downloaded again.

    Args:
        name: OWNER/NAME, with @REVISION: a tag such as the version's name, a branch or a commit.
        data: The data folder.
        api: The hub's client.
        note: Told what is being done.

    Raises:
        ConfigError: It has no record, or other tables are in the folder.
        HubError: The hub refuses, fails or can't be reached.
        TableError: What was downloaded is not what was published.
    """
    repo, _, wanted = name.partition("@")
    check_repo(repo, "hub:")
    info = call(repo, partial(api.dataset_info, repo, revision=wanted or None), note)
    revision = str(info.sha)
    publication = read_published(repo, api, revision)
    if not publication.tables:
        raise ConfigError(
            f"{repo}: published without its record, so there is nothing to pair anew",
            "Read its pairs as any dataset: prefdata import OWNER/NAME. Its maker can publish it "
            "with --record.",
        )
    files = _list_files(repo, publication)
    _check_folder(data, files)
    size = sum(entry.bytes for entry in files.values())
    note(f"fetching {len(files):,} files of {repo}, {size:,} bytes")
    patterns = [f"{RECORD}/*", PARAMS]
    fetch = partial(api.snapshot_download, repo, repo_type=DATASET, allow_patterns=patterns)
    folder = str(call(repo, partial(fetch, revision=revision), note))
    # A table's description comes last: it marks the table whole.
    for path in sorted(files, key=lambda path: (path.endswith(INFO_NAME), path)):
        content = storage.read_bytes(storage.join(folder, RECORD, path)) or b""
        if hashlib.sha256(content).hexdigest() != files[path].sha256:
            raise TableError(
                f"{repo}: {RECORD}/{path} is not what publication.json says", "Fetch it again."
            )
        storage.write_bytes(storage.join(data, path), content)
    settings = yaml.safe_load(storage.read_bytes(storage.join(folder, PARAMS)) or b"")
    return Fetched(repo, revision, publication, settings if isinstance(settings, dict) else {})


def _list_files(repo: str, publication: Publication) -> dict[str, FileEntry]:
    """The record's files, by their paths in a data folder. They come from anywhere: a path that no
    table has is refused."""
    files = {}
    for entry in publication.list_record():
        path = entry.path.removeprefix(f"{RECORD}/")
        table, _, file = path.rpartition("/")
        if table not in _KNOWN or not _FILE.fullmatch(file):
            raise TableError(
                f"{repo}: {entry.path[:200]!r} belongs to no table that is known here",
                "Fetch it with the version of prefdata that published it.",
            )
        files[path] = entry
    return files


def _check_folder(data: str, files: dict[str, FileEntry]) -> None:
    """Refuse a folder with tables of another run."""
    for path, entry in files.items():
        if path.endswith(INFO_NAME):
            content = storage.read_bytes(storage.join(data, path))
            if content is not None and hashlib.sha256(content).hexdigest() != entry.sha256:
                raise ConfigError(
                    f"{storage.join(data, path.rpartition('/')[0])}: another table is there",
                    "Name a new folder with --out.",
                )
