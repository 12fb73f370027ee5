"""What a publication holds: files, configurations, tag, card and warnings. It needs no network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefdata import __version__
from prefdata.dataset.card import Published, list_patterns, render_card
from prefdata.dataset.hub import record as records
from prefdata.dataset.hub.as_parquet import convert_jsonl, name_parquet
from prefdata.dataset.hub.licenses import (
    UNSTATED,
    check_licenses,
    list_licensed,
    list_unstated,
)
from prefdata.dataset.hub.publication import FIGURES, FOLDERS, PUBLICATION, Publication
from prefdata.dataset.hub.record import RecordTable
from prefdata.dataset.manifest import (
    COMPLETED,
    MANIFEST,
    ExportEntry,
    FileEntry,
    Manifest,
    describe_file,
    read_manifest,
)
from prefdata.dataset.pointer import CARD
from prefdata.dataset.verification.rows import find_record
from prefdata.dataset.versions import name_version, read_examples
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.tables.read import read_bucket

_REASON = "personal_data"
"""How the reasons of the filter for personal data begin."""
_DATUM = re.compile(r"(\w+) at characters")


@dataclass(frozen=True)
class Picture:
    """A figure of the card: a file name, what it shows, and its PNG."""

    name: str
    caption: str
    content: bytes


@dataclass(frozen=True)
class PlannedFile:
    """A file to publish: its entry, and where it lies on this machine, or what is in it."""

    entry: FileEntry
    source: str | bytes


@dataclass(frozen=True)
class Plan:
    """A publication, as it would be pushed.

    Attributes:
        repo: The repository.
        publication: What publication.json says.
        files: All files, publication.json last.
        configs: What `load_dataset` reads, by name: by split, the pattern of its files.
        unloaded: Exports that it does not read, each with the reason.
        warnings: What to look at first.
    """

    repo: str
    publication: Publication
    files: list[PlannedFile]
    configs: dict[str, dict[str, str | list[str]]]
    unloaded: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """The version's name."""
        return self.publication.version


def plan_publication(
    folder: str,
    repo: str,
    scratch: Path,
    *,
    url: str,
    data: str | None = None,
    pictures: Sequence[Picture] = (),
) -> Plan:
    """What would be published.

    Args:
        folder: The version's folder.
        repo: The repository, OWNER/NAME.
        scratch: A folder on this machine for files that are made, as long as the plan is used.
        url: The repository's address.
        data: The run's data folder, to publish its tables as the record; None: no record.
        pictures: The figures of the card.

    Raises:
        ConfigError: A name can't be used, or the tables are not those of the version.
    """
    manifest = read_manifest(folder)
    tables = records.list_record(data, manifest) if data is not None else []
    _check_names(manifest, tables)
    files = [*_list_version(folder, manifest)]
    configs, unloaded, converted = _list_exports(folder, manifest, scratch)
    files += converted
    for table in tables:
        files += [PlannedFile(entry, path) for path, entry in table.list_files()]
    for name, pattern in records.list_patterns(tables).items():
        configs[name] = {records.SPLIT: pattern}
    paths = [(f"{FIGURES}/{each.name}", each) for each in pictures]
    files += [PlannedFile(describe_file(p, each.content), each.content) for p, each in paths]
    settings: Any = manifest.settings
    license = str(settings.get("export", {}).get("license", UNSTATED))
    licensed = list_licensed(manifest, read_cards=True)
    warnings = [
        *check_licenses(license, licensed),
        *_describe_personal(manifest, tables),
        *(f"load_dataset does not read {name}: {why}" for name, why in unloaded.items()),
    ]
    published = Published(
        repo=repo,
        url=url,
        tag=_name_version(folder, manifest),
        configs=configs,
        tables=_count_rows(tables),
        figures=[(path, each.caption) for path, each in paths],
        warnings=warnings,
    )
    rows = read_examples(folder, manifest)
    card = render_card(manifest, license, rows, published=published).encode()
    files.append(PlannedFile(describe_file(CARD, card), card))
    publication = Publication(
        content_version=manifest.content_version,
        version=published.tag,
        prefdata_version=__version__,
        tables={each.name: each.info.rows for each in tables},
        files=sorted((file.entry for file in files), key=lambda entry: entry.path),
    )
    content = publication.encode()
    files.append(PlannedFile(describe_file(PUBLICATION, content), content))
    hints = [*warnings, *list_unstated(license, licensed)]
    return Plan(repo, publication, files, configs, unloaded, hints)


def _count_rows(tables: Sequence[RecordTable]) -> dict[str, int]:
    """The rows of the record by configuration: what all stages dropped is one."""
    rows: Counter[str] = Counter()
    for each in tables:
        rows[each.name.partition("/")[0]] += each.info.rows
    return dict(rows)


def _list_version(folder: str, manifest: Manifest) -> Iterator[PlannedFile]:
    """The version's files but its card: what is published has one of its own."""
    for entry in manifest.list_files():
        if entry.path != CARD:
            yield PlannedFile(entry, storage.join(folder, entry.path))
    for name in (MANIFEST, COMPLETED):
        content = storage.read_bytes(storage.join(folder, name)) or b""
        yield PlannedFile(describe_file(name, content), content)


def _list_exports(
    folder: str, manifest: Manifest, scratch: Path
) -> tuple[dict[str, dict[str, str | list[str]]], dict[str, str], list[PlannedFile]]:
    """(the configurations, those exports that have none with the reason, files to add)."""
    configs: dict[str, dict[str, str | list[str]]] = {}
    unloaded: dict[str, str] = {}
    files: list[PlannedFile] = []
    for name, entry in manifest.exports.items():
        patterns = dict(list_patterns(entry))
        if not patterns:
            unloaded[name] = "it has no rows"
        elif all(pattern.endswith(".parquet") for pattern in patterns.values()):
            configs[name] = {**patterns}
        else:
            made = _convert(folder, entry, scratch)
            if made is None:
                unloaded[name] = (
                    f"its kind {entry.kind} is not known here, so its JSONL is published as it is"
                )
                continue
            files += made
            configs[name] = {split: name_parquet(path) for split, path in patterns.items()}
    return configs, unloaded, files


def _convert(folder: str, entry: ExportEntry, scratch: Path) -> list[PlannedFile] | None:
    """The export's JSONL as Parquet; None where its kind is not known."""
    record = find_record(entry)
    if record is None:
        return None
    made = []
    for file in entry.files:
        if file.split is None:
            continue
        path = name_parquet(file.path)
        target = scratch / path
        target.parent.mkdir(parents=True, exist_ok=True)
        convert_jsonl(storage.join(folder, file.path), str(target), record)
        described = describe_file(path, target.read_bytes())
        described = described.model_copy(update={"split": file.split, "rows": file.rows})
        made.append(PlannedFile(described, str(target)))
    return made


def _name_version(folder: str, manifest: Manifest) -> str:
    paths = [MANIFEST, *(entry.path for entry in manifest.documents)]
    contents = [storage.read_bytes(storage.join(folder, path)) or b"" for path in paths]
    return name_version(manifest.content_version, contents)


def _check_names(manifest: Manifest, tables: Sequence[RecordTable]) -> None:
    taken = {*FOLDERS, *(table.name.partition("/")[0] for table in tables)}
    for name in manifest.exports:
        if name in taken:
            raise ConfigError(
                f"the export {name!r} has the name of something else that is published",
                "Give it another `name` in export.formats, and export again.",
            )


def _describe_personal(manifest: Manifest, tables: Sequence[RecordTable]) -> Iterator[str]:
    """Where the filter dropped pairs for personal data: how many, and what still holds them."""
    reasons = next((stage.dropped for stage in manifest.stages if stage.stage == "filter"), {})
    pairs = sum(count for reason, count in reasons.items() if reason.startswith(_REASON))
    if not pairs:
        return
    kinds = ", ".join(f"{kind} {count}" for kind, count in _count_kinds(tables).items())
    whole = [name for name, entry in manifest.exports.items() if entry.unit != "pairs"]
    holding = [*(["the record"] if tables else []), *whole]
    yield (
        f"the filter personal_data dropped {pairs:,} pairs"
        + (f" ({kinds})" if kinds else "")
        + (
            f"; {', '.join(holding)} may hold their texts: mend the sources, or leave these out"
            if holding
            else "; what is published does not hold them, and the filter does not find all there is"
        )
    )


def _count_kinds(tables: Sequence[RecordTable]) -> Mapping[str, int]:
    """The kinds of data that were found, by the details of the filter's dropped records."""
    counts: Counter[str] = Counter()
    for each in tables:
        if each.name == f"{records.DROPPED}/filter":
            for bucket in range(each.info.buckets):
                rows = read_bucket(each.table, bucket, each.info, ["reason", "detail"])
                for reason, detail in rows.iter_rows():
                    if reason.startswith(_REASON):
                        counts.update(_DATUM.findall(detail))
    return dict(sorted(counts.items()))
