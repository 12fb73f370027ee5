"""Whole datasets that can be read, and copied in part: a file, a folder of data files, or an id on
the Hugging Face hub."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from prefdata.errors import SourceError
from prefdata.files import rows as files
from prefdata.files.copies import copy_rows, copy_table
from prefdata.files.rows import Row
from prefdata.files.values import list_values
from prefdata.sources.file_source import FORMATS


class Dataset(ABC):
    """A dataset of rows."""

    name: str
    """The dataset's name in errors."""
    file: str
    """The file name of a copy."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The rows in order. Raises SourceError."""

    @abstractmethod
    def count_rows(self) -> int:
        """An upper bound on the number of rows."""

    @abstractmethod
    def copy(self, places: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        """The content of a file with a selection of the rows; for the arguments see `copy_rows`."""


class FileDataset(Dataset):
    """A JSONL, JSON or Parquet file."""

    def __init__(self, path: str) -> None:
        files.format_of(path, FORMATS)
        files.open_unpacked(path).close()
        self.name, self.file = path, Path(path).name

    def rows(self) -> Iterator[Row]:
        return files.read_rows(self.name)

    def count_rows(self) -> int:
        return files.count_rows(self.name)

    def copy(self, places: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        return copy_rows(self.name, places, extra)


class LoadedDataset(Dataset):
    """A split loaded by `datasets`; a copy of it is Parquet with the same schema."""

    def __init__(self, name: str, file: str, table: pa.Table) -> None:
        self.name, self.file, self.table = name, file, table

    def rows(self) -> Iterator[Row]:
        batches = self.table.to_batches(max_chunksize=1000)
        values = (value for batch in batches for value in list_values(batch))
        return (Row(number, None, value) for number, value in enumerate(values, 1))

    def count_rows(self) -> int:
        return int(self.table.num_rows)

    def copy(self, places: Sequence[int], extra: pl.DataFrame | None) -> bytes:
        return copy_table(self.table, places, extra)


def open_dataset(
    path: str, split: str | None = None, subset: str | None = None, revision: str | None = None
) -> Dataset:
    """The dataset that `path` names: a file, a folder or a hub id. Raises SourceError."""
    if files.guess_format(path) in FORMATS or Path(path).is_file():
        if split or subset or revision:
            raise SourceError(
                f"{path}: a file has no split, subset or revision",
                "Leave split, subset and revision out.",
            )
        return FileDataset(path)
    return _load_split(path, split, subset, revision)


def open_splits(
    path: str, subset: str | None = None, revision: str | None = None
) -> dict[str | None, Dataset]:
    """All splits of the dataset that `path` names, in their order; a file is one, without a name.
    Raises SourceError."""
    if files.guess_format(path) in FORMATS or Path(path).is_file():
        return {None: open_dataset(path, None, subset, revision)}
    loaded = _load(path, subset, revision)
    return {name: _take_split(path, loaded, name) for name in loaded}


def _load_split(
    path: str, split: str | None, subset: str | None, revision: str | None
) -> LoadedDataset:
    loaded = _load(path, subset, revision)
    splits = list(loaded)
    if split is None and len(splits) > 1:
        raise SourceError(f"{path}: it has the splits {', '.join(splits)}", "Name one as split.")
    name = split or splits[0]
    if name not in splits:
        raise SourceError(f"{path}: has no split {name!r}; it has: {', '.join(splits)}")
    return _take_split(path, loaded, name)


def _take_split(path: str, loaded: Any, name: str) -> LoadedDataset:
    return LoadedDataset(f"{path} ({name})", f"{name}.parquet", loaded[name].data.table)


def _load(path: str, subset: str | None, revision: str | None) -> Any:
    """The splits by name, as `datasets` loads them."""
    import datasets

    local = Path(path).is_dir()
    if not local and (path.count("/") != 1 or path.startswith((".", "/"))):
        raise SourceError(
            f"{path}: neither a file or folder that is here nor a hub id (OWNER/NAME)",
            "Check the path; it is relative to where the command runs.",
        )
    try:
        return datasets.load_dataset(path, subset, revision=revision)
    # `datasets` and the hub's client raise many kinds of errors; to the user they mean the same.
    except Exception as error:
        where = "this folder" if local else "the hub"
        raise SourceError(
            f"{path}: can't be loaded from {where}: {str(error).splitlines()[0]}",
            "Check the name, subset, revision, the network and, for a gated dataset, the login."
            if not local
            else "It should hold Parquet or JSONL files.",
        ) from error
