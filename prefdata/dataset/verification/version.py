"""All checks of a version: does it hold what its manifest says, and is that sound?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import polars as pl

from prefdata.dataset.find import find_version
from prefdata.dataset.hub.publication import PUBLICATION
from prefdata.dataset.manifest import (
    COMPLETED,
    MANIFEST,
    MODULUS,
    PARAMS,
    ExportEntry,
    Manifest,
    StageEntry,
    parse_manifest,
)
from prefdata.dataset.pointer import CARD, VERSIONS, find_newest, list_versions
from prefdata.dataset.verification.check import Check
from prefdata.dataset.verification.files import describe_damage, list_damage, list_entries
from prefdata.dataset.verification.look import Expected, Seen, look_at_file
from prefdata.dataset.verification.rows import find_record
from prefdata.dataset.verification.splits import PromptIndex
from prefdata.dataset.versions import UNFINISHED, name_version
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.records.base import SCHEMA_VERSION

NAMES = ("manifest", "files", "schema", "counts", "rows", "pairs", "splits")
"""The checks, in the order in which they are shown."""

_WORKERS = 2
"""Files that are read at once: what is slow runs outside the interpreter's lock."""

Checks = Mapping[str, Check]


def verify(folder: str, max_similarity: float) -> tuple[str, Manifest | None, list[Check]]:
    """Check a version, or the newest of a dataset.

    Args:
        folder: What names the version; see `find_version`. Of a dataset's folder, what else lies
            there is checked, too.
        max_similarity: The least similarity of near-duplicate prompts; see the filter
            near_duplicates.

    Returns:
        The version's folder, its manifest (None where there is none that can be read), and the
        checks.

    Raises:
        ConfigError: There is no such version, or there are several.
    """
    checks = {name: Check(name) for name in NAMES}
    version = find_version(folder).folder
    if find_newest(folder) != folder:
        _check_folder(folder, checks)
    manifest = _check_manifest(version, checks)
    if manifest:
        _check_files(version, manifest, checks)
        _check_counts(manifest, checks)
        _check_exports(version, manifest, checks, max_similarity)
    return version, manifest, list(checks.values())


def _check_folder(folder: str, checks: Checks) -> None:
    """The dataset's folder: the card, and the versions that it names."""
    versions = list_versions(folder)
    there = storage.list_names(storage.join(folder, VERSIONS))
    for name in versions[1:]:
        if name not in there:
            checks["files"].add(f"{VERSIONS}/{name}: missing, though the card lists it")
    for name in _list_strange(there, versions):
        checks["files"].add(f"{VERSIONS}/{name}: extra: the card does not list it")
    for name in _list_strange(storage.list_names(folder), (CARD, VERSIONS, UNFINISHED)):
        checks["files"].add(f"{name}: extra: it belongs to no version")


def _check_manifest(version: str, checks: Checks) -> Manifest | None:
    check, contents = checks["manifest"], {}
    for name in (MANIFEST, COMPLETED):
        content = storage.read_bytes(storage.join(version, name))
        if content is None:
            check.add(f"{name}: missing")
        else:
            contents[name] = content
    if MANIFEST not in contents:
        return None
    digest = hashlib.sha256(contents[MANIFEST]).hexdigest()
    if contents.get(COMPLETED, digest.encode()).strip() != digest.encode():
        check.add(f"{MANIFEST}: damaged: its content is not what {COMPLETED} says")
    try:
        manifest = parse_manifest(version, contents[MANIFEST])
    except TableError as error:
        check.add(f"{MANIFEST}: {error.problem}")
        return None
    check.looked_at = f"schema version {manifest.schema_version}"
    name = version.rstrip("/").rpartition("/")[2]
    named = re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]{8}", name)
    if named and not check.count:
        # Early manifests did not list them.
        listed = [each.path for each in manifest.documents] or [PARAMS, CARD]
        documents = [storage.read_bytes(storage.join(version, path)) or b"" for path in listed]
        right = name_version(manifest.content_version, [contents[MANIFEST], *documents])
        if name != right and not list_damage(version, manifest.documents):
            check.add(f"the folder is called {name}, but its manifest and card are of {right}")
    return manifest


def _check_files(version: str, manifest: Manifest, checks: Checks) -> None:
    """Files without rows, and those that the manifest does not list."""
    rows = {entry.path for entry in manifest.list_files() if entry.split is not None}
    try:
        listed = list_entries(version, manifest)
    except TableError as error:
        checks["files"].add(error.problem)
        listed = manifest.list_files()
    for entry in listed:
        if entry.path not in rows:
            content = storage.read_bytes(storage.join(version, entry.path))
            problem = describe_damage(entry, content)
            if problem:
                checks["files"].add(f"{entry.path}: {problem}")
    known = {entry.path for entry in listed} | {MANIFEST, COMPLETED, CARD, PARAMS, PUBLICATION}
    for path in _list_strange(_walk(version), known):
        checks["files"].add(f"{path}: extra: the manifest does not list it")
    checks["files"].looked_at = f"{len(listed):,} files"


def _walk(folder: str, below: str = "") -> Iterator[str]:
    """The paths of all files below the folder."""
    files = {file.name for file in storage.list_files(folder)}
    for name in storage.list_names(folder):
        if name in files:
            yield below + name
        else:
            yield from _walk(storage.join(folder, name), f"{below}{name}/")


def _list_strange(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Names that are not known; those of version control and of the desktop are not looked at."""
    return [name for name in names if name not in known and not name.startswith(".")]


def _check_counts(manifest: Manifest, checks: Checks) -> None:
    """Rows in are rows out and dropped, in every stage and export."""
    check = checks["counts"]
    counted: list[tuple[str, StageEntry | ExportEntry]] = [
        *((f"stage {stage.stage}", stage) for stage in manifest.stages),
        *((f"export {name}", export) for name, export in manifest.exports.items()),
    ]
    for name, each in counted:
        dropped = sum(each.dropped.values())
        if each.rows_in != each.rows_out + dropped:
            check.add(
                f"{name}: {each.rows_in:,} {each.unit} in, but {each.rows_out:,} out and "
                f"{dropped:,} dropped"
            )
    for name, entry in manifest.exports.items():
        for split, rows in entry.splits.items():
            listed = sum(file.rows for file in entry.files if file.split == split)
            if listed != rows:
                check.add(f"export {name}: {rows:,} rows in {split}, but {listed:,} in its files")
    check.looked_at = f"{len(manifest.stages)} stages, {len(manifest.exports)} exports"


def _check_exports(version: str, manifest: Manifest, checks: Checks, max_similarity: float) -> None:
    """The rows of every export; the prompts of the first that has their texts are compared."""
    total: int | None = 0
    rows = 0
    index: PromptIndex | None = PromptIndex(max_similarity)
    for name, entry in manifest.exports.items():
        record = find_record(entry)
        is_current = manifest.schema_version == SCHEMA_VERSION
        expected = Expected(version, entry, record, is_current, index)
        digest, found_texts = _check_export(name, expected, checks)
        total = None if total is None or digest is None else (total + digest) % MODULUS
        rows += sum(entry.splits.values())
        index = None if found_texts else index
    if total is not None and f"{total:064x}" != manifest.content_version:
        found = f"{total:064x}"[:12]
        checks["rows"].add(
            f"the rows are of content version {found}…, the manifest says "
            f"{manifest.content_version[:12]}…"
        )
    for each in ("schema", "rows", "pairs"):
        checks[each].looked_at = f"{rows:,} rows"
    if index:
        checks["splits"].unknown.append("no export has its prompts as messages or text")


def _check_export(name: str, expected: Expected, checks: Checks) -> tuple[int | None, bool]:
    """(the digest of the export's rows, or None; whether prompts had texts to compare)."""
    entry, index = expected.entry, expected.index
    digest: int | None = 0
    by_split: dict[str, pl.Series] = {}
    pair_ids = [pl.Series("pair_id", dtype=pl.String)]
    found_texts = False
    # The largest split comes last: it is compared with the index, and never kept.
    splits = sorted(entry.splits, key=lambda split: entry.splits[split])
    for split in splits:
        prompt_ids = [pl.Series("prompt_id", dtype=pl.String)]
        for seen in _look_at_split(split, expected):
            for check, what in seen.found:
                checks[check].add(what)
            known = digest is not None and seen.digest is not None
            digest = ((digest or 0) + (seen.digest or 0)) % MODULUS if known else None
            prompt_ids += seen.prompt_ids
            pair_ids += seen.pair_ids
            for prompts in seen.prompts:
                found_texts = True
                if index and split != splits[-1]:
                    index.add(prompts)
        if index:
            index.close_split()
        by_split[split] = pl.concat(prompt_ids).unique()
    if digest is None and not any(checks[each].count for each in ("files", "schema")):
        checks["rows"].unknown.append(f"{name}: JSONL whose types are not known here")
    _compare_splits(name, by_split, checks)
    # Some exports make several rows of a pair.
    if entry.unit == "pairs" and entry.rows_out == sum(entry.splits.values()):
        repeated = pl.concat(pair_ids)
        repeated = repeated.filter(repeated.is_duplicated()).unique().sort()
        checks["pairs"].add_rows(name, "more than one row", (f"pair {each}" for each in repeated))
    return digest, found_texts


def _look_at_split(split: str, expected: Expected) -> Iterator[Seen]:
    files = [file for file in expected.entry.files if file.split == split]
    with ThreadPoolExecutor(_WORKERS) as threads:
        yield from threads.map(partial(look_at_file, expected=expected), files)


def _compare_splits(name: str, by_split: Mapping[str, pl.Series], checks: Checks) -> None:
    check = checks["splits"]
    splits = sorted(by_split)
    for place, one in enumerate(splits):
        for other in splits[place + 1 :]:
            ids = by_split[one]
            both = ids.filter(ids.is_in(by_split[other].implode())).sort()
            check.add_rows(name, f"in {one} and in {other}", (f"prompt {each}" for each in both))
    if not check.looked_at:
        sizes = (f"{len(by_split[split]):,} prompts in {split}" for split in splits)
        check.looked_at = ", ".join(sizes)
