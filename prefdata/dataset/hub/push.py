"""Pushing a publication: the files, which a second call finds there, then one commit, then tags."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from prefdata.dataset.hub.client import DATASET, call
from prefdata.dataset.hub.plan import Plan, PlannedFile
from prefdata.dataset.hub.publication import PUBLICATION, Publication, parse_publication
from prefdata.dataset.pointer import CARD
from prefdata.errors import ConfigError, TableError
from prefdata.files import storage

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

_AT_ONCE = 64
"""Files that are uploaded before the next ones are read."""
_REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Found:
    """A repository as it is found.

    Attributes:
        head: The newest commit; None: there is no such repository.
        publication: What publication.json says there; None: it holds none.
        tags: The commit of each tag.
        edited: Whether the card is not the one that was published.
        paths: Its files.
    """

    head: str | None = None
    publication: Publication | None = None
    tags: dict[str, str] = field(default_factory=dict)
    edited: bool = False
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pushed:
    """What was pushed. `commit` is None where all of it was there already."""

    commit: str | None
    files: int
    bytes: int
    removed: int
    tags: list[str]


def check_repo(repo: str, option: str = "--repo ") -> None:
    """Raise ConfigError where this can't be the name of a repository; `option` introduced it."""
    if not _REPO.fullmatch(repo):
        raise ConfigError(f"{option}{repo}: no name of a repository", "Name one as OWNER/NAME.")


def push(
    plan: Plan,
    api: HfApi,
    *,
    private: bool = False,
    overwrite_card: bool = False,
    names: Sequence[str] = (),
    note: Callable[[str], None] = lambda text: None,
) -> Pushed:
    """Push a publication in one commit, and tag it.

    Uploads are by content: after a kill, the same call uploads only what is missing.

    Args:
        plan: The publication.
        api: The hub's client.
        private: Make a new repository private.
        overwrite_card: Replace a card that was edited on the hub.
        names: Further tags, such as the version's readable name.
        note: Told what is being done.

    Raises:
        ConfigError: There is no token, no right to write, or the repository is another one.
        HubError: The hub refuses, fails or can't be reached.
    """
    repo = plan.repo
    call(repo, api.whoami, note)
    found = _look_at(plan.repo, api, private)
    tags = [plan.tag, *names]
    _check_tags(plan, api, found, tags)
    changed = [file for file in plan.files if _is_changed(plan, file, found)]
    others = [file for file in changed if file.entry.path != CARD or overwrite_card]
    if not others and found.publication == plan.publication:
        # A call that was killed after its commit has not tagged it.
        missing = _tag(plan, api, found, tags, found.head or "")
        return Pushed(None, 0, 0, 0, missing)
    if found.edited and not overwrite_card:
        raise ConfigError(
            f"{repo}: its card was edited since it was published, or is not prefdata's",
            "Carry the edits into params.yaml or your own notes; --overwrite-card replaces the "
            "card.",
        )
    if found.head is None:
        note(f"making the {'private ' if private else ''}dataset {repo}")
        # None: as the organisation's default has it, which may be private.
        make = partial(api.create_repo, repo_type=DATASET, private=private or None, exist_ok=True)
        call(repo, partial(make, repo))
        found = _look_at(repo, api, private)
    removed = _list_removed(plan, found)
    commit = _commit(plan, api, found, changed, removed, note)
    size = sum(file.entry.bytes for file in changed)
    return Pushed(commit, len(changed), size, len(removed), _tag(plan, api, found, tags, commit))


def _look_at(repo: str, api: HfApi, private: bool) -> Found:
    if not call(repo, lambda: api.repo_exists(repo, repo_type=DATASET)):
        for other in ("model", "space"):
            if call(repo, partial(api.repo_exists, repo, repo_type=other)):
                raise ConfigError(
                    f"{repo}: it is a {other} on the hub, and no dataset",
                    "Name another repository; or make the dataset on the hub, where both may have "
                    "one name.",
                )
        return Found()
    info = call(repo, partial(api.dataset_info, repo))
    if private and not info.private:
        raise ConfigError(
            f"{repo}: it is public, so what is pushed can be seen by all",
            "Make it private in its settings on the hub, or leave out --private.",
        )
    refs = call(repo, partial(api.list_repo_refs, repo, repo_type=DATASET))
    head = str(info.sha)
    files = frozenset(file.rfilename for file in info.siblings or ())
    publication = read_published(repo, api, head) if PUBLICATION in files else None
    edited = False
    if CARD in files:
        digest = hashlib.sha256(_read(repo, api, CARD, head)).hexdigest()
        edited = publication is None or publication.find_digest(CARD) != digest
    tags = {tag.name: tag.target_commit for tag in refs.tags}
    return Found(head, publication, tags, edited, files)


def read_published(repo: str, api: HfApi, revision: str) -> Publication:
    """The publication of a repository. Raises TableError where it is none that is read, ConfigError
    and HubError as `call`."""
    return parse_publication(_read(repo, api, PUBLICATION, revision), f"{repo}/{PUBLICATION}")


def _read(repo: str, api: HfApi, path: str, revision: str) -> bytes:
    fetch = partial(api.hf_hub_download, repo, path, repo_type=DATASET, revision=revision)
    return storage.read_bytes(str(call(repo, fetch))) or b""


def _check_tags(plan: Plan, api: HfApi, found: Found, tags: Sequence[str]) -> None:
    """Check that tags of these names, if there are, are of this version."""
    for tag in tags:
        if tag not in found.tags:
            continue
        try:
            there = read_published(plan.repo, api, found.tags[tag]).content_version
        except (TableError, ConfigError):
            there = "unknown"
        if there != plan.publication.content_version:
            raise ConfigError(
                f"{plan.repo}: its tag {tag} is of another content ({there[:12]})",
                "Remove the tag on the hub, or publish to another repository.",
            )


def _is_changed(plan: Plan, file: PlannedFile, found: Found) -> bool:
    """Whether the file is not there, or another one is."""
    path, before = file.entry.path, found.publication
    if before is None or path not in found.paths:
        return True
    if path == PUBLICATION:
        return before != plan.publication
    return before.find_digest(path) != file.entry.sha256 or (path == CARD and found.edited)


def _list_removed(plan: Plan, found: Found) -> list[str]:
    """The files of the last publication that this one has not. Those that others put there stay."""
    kept = {file.entry.path for file in plan.files}
    before = found.publication.files if found.publication else []
    return [file.path for file in before if file.path not in kept and file.path in found.paths]


def _commit(
    plan: Plan,
    api: HfApi,
    found: Found,
    changed: Sequence[PlannedFile],
    removed: Sequence[str],
    note: Callable[[str], None],
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    repo, operations = plan.repo, list[CommitOperationAdd | CommitOperationDelete]()
    for start in range(0, len(changed), _AT_ONCE):
        batch = [_add(file) for file in changed[start : start + _AT_ONCE]]
        upload = partial(api.preupload_lfs_files, repo_type=DATASET, free_memory=False)
        call(repo, partial(upload, repo, batch), note)
        operations += batch
        note(f"{len(operations):,} of {len(changed):,} files uploaded")
    operations += [CommitOperationDelete(path, is_folder=False) for path in removed]
    message = f"Version {plan.tag}, by prefdata {plan.publication.prefdata_version}"
    commit = partial(api.create_commit, repo_type=DATASET, parent_commit=found.head)
    return str(call(repo, partial(commit, repo, operations, commit_message=message), note).oid)


def _add(file: PlannedFile) -> CommitOperationAdd:
    from huggingface_hub import CommitOperationAdd

    source = file.source
    if isinstance(source, str) and storage.is_remote(source):
        source = storage.read_bytes(source) or b""
    return CommitOperationAdd(file.entry.path, source)


def _tag(plan: Plan, api: HfApi, found: Found, tags: Sequence[str], commit: str) -> list[str]:
    """Tag the commit; a tag of the same version that stands elsewhere is moved. Those that were
    made."""
    repo, made = plan.repo, []
    for tag in tags:
        if found.tags.get(tag) == commit:
            continue
        if tag in found.tags:
            call(repo, partial(api.delete_tag, repo, tag=tag, repo_type=DATASET))
        call(repo, partial(api.create_tag, repo, tag=tag, revision=commit, repo_type=DATASET))
        made.append(tag)
    return made
