"""The record of a run: all of its tables, as they lie in the data folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prefdata.dataset.hub.publication import RECORD
from prefdata.dataset.manifest import FileEntry, Manifest, describe_file
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.tables import Table, TableInfo, read_info
from prefdata.tables.catalog import DROPPING, TABLES, Catalog
from prefdata.tables.layout import INFO_NAME
from prefdata.tables.read import is_finished, list_damage

SPLIT = "full"
"""The split of a table of the record in `load_dataset`: it holds prompts of train and of test."""
DROPPED = "dropped"
"""The configuration of all stages' dropped records."""


@dataclass(frozen=True)
class RecordTable:
    """A table of the record.

    Attributes:
        name: Such as prompts, or dropped/filter.
        table: Where it lies.
        info: Its description.
    """

    name: str
    table: Table
    info: TableInfo

    def list_files(self) -> Iterator[tuple[str, FileEntry]]:
        """(path on this machine, entry) of its files. Raises ConfigError where one is damaged."""
        damage = list_damage(self.table)
        if damage:
            raise ConfigError(
                f"the record is damaged: {damage[0]}", "Run the stage that writes it again."
            )
        folder = f"{RECORD}/{self.name}"
        described = storage.read_bytes(self.table.info_path)
        assert described is not None
        yield self.table.info_path, describe_file(f"{folder}/{INFO_NAME}", described)
        for bucket in range(self.info.buckets):
            path = self.table.bucket_path(bucket, self.info.buckets)
            content = storage.read_bytes(path) or b""
            yield path, describe_file(f"{folder}/{path.rpartition('/')[2]}", content)


def list_record(data: str, manifest: Manifest) -> list[RecordTable]:
    """The tables of which a version was made, and those beside them.

    Args:
        data: The run's data folder.
        manifest: The version's manifest.

    Raises:
        ConfigError: They are not there, or not those of which the version was made.
    """
    catalog = Catalog(data)
    named = {name: catalog.table(name, record) for name, record in TABLES.items()}
    named |= {f"{DROPPED}/{stage}": catalog.dropped(stage) for stage in DROPPING}
    found = [
        RecordTable(name, table, read_info(table))
        for name, table in named.items()
        if is_finished(table)
    ]
    _check_contents(data, manifest, {each.name: each.info for each in found})
    return found


def _check_contents(data: str, manifest: Manifest, infos: Mapping[str, TableInfo]) -> None:
    """Check that the tables are those whose digests stand in the version's chain."""
    if not manifest.chain:
        raise ConfigError(
            "the version does not say of which tables it was made: an earlier prefdata wrote it",
            "Export it again, or publish it without --record.",
        )
    for made in manifest.chain.values():
        for name, content in made.inputs.items():
            info = infos.get(name)
            if info is None or info.content != content:
                what = "is not there" if info is None else "has been made anew since"
                raise ConfigError(
                    f"{storage.join(data, name)}, of which the version was made, {what}",
                    "Run `prefdata export` and publish the new version; or name the folder of its "
                    "run with --data, or publish it without --record.",
                )


def list_patterns(tables: Sequence[RecordTable]) -> dict[str, str | list[str]]:
    """What `load_dataset` reads of the record: by configuration, a pattern or the paths of its
    files. It can't read a file without rows, so these are left out."""
    filled: dict[str, list[str]] = {}
    whole: dict[str, bool] = {}
    for each in tables:
        name = each.name.partition("/")[0]
        rows = [file.rows for file in each.info.files or ()] or [1] * each.info.buckets
        paths = [each.table.bucket_path(bucket, each.info.buckets) for bucket in range(len(rows))]
        filled.setdefault(name, []).extend(
            f"{RECORD}/{each.name}/{path.rpartition('/')[2]}"
            for path, count in zip(paths, rows, strict=True)
            if count
        )
        whole[name] = whole.get(name, True) and all(rows)
    patterns = {
        name: f"{RECORD}/{'dropped/*' if name == DROPPED else name}/bucket-*.parquet"
        for name in filled
    }
    return {
        name: patterns[name] if whole[name] else paths for name, paths in filled.items() if paths
    }
