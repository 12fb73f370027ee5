"""Frames that a step hands on to later ones: in files on this machine, or in the runner's shuffle.

The local runner holds in the command's memory whatever it shuffles and whatever waits for a side
input, so there a frame goes to a file and only its place to the runner: memory stays the same
however many rows there are. The runners of clusters shuffle over disks and a network by themselves.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from prefdata.errors import StorageError
from prefdata.files import storage
from prefdata.tables.packing import pack, unpack

if TYPE_CHECKING:
    from prefdata.pipelines.stages.base import Context

_NAME = ".spill"
"""The folder in the data folder, of the stage that runs."""

_APPENDING = threading.Lock()


@dataclass(frozen=True)
class Place:
    """Where a frame lies in a file, in bytes."""

    path: str
    offset: int
    length: int


Spilled = Place | bytes
"""A frame that was handed on: where it lies, or itself, packed."""


@contextmanager
def open_spill(data: str) -> Iterator[str]:
    """An empty folder for the frames of one stage, which is removed at the end.

    It lies in the data folder, whose disk has room for them; a run that was killed leaves it for
    the next one to empty. Beside remote data it is a temporary folder.
    """
    if storage.is_remote(data):
        with tempfile.TemporaryDirectory(prefix="prefdata-") as folder:
            yield folder
        return
    folder = storage.join(data, _NAME)
    shutil.rmtree(folder, ignore_errors=True)
    with storage.explain_errors(folder):
        os.makedirs(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def spill(context: Context, frame: pl.DataFrame) -> Spilled:
    """Hand the frame on: what `read_spilled` reads in a later step of the stage, in any process.

    Raises:
        StorageError: The disk is full, or can't be written.
    """
    if not context.spill:
        return pack(frame)
    content = pack(frame, "lz4")
    # A file for each process. Frames that a step repeats lie in it twice, and are read once.
    path = storage.join(context.spill, f"{os.getpid()}.arrow")
    with _APPENDING, storage.explain_errors(path), open(path, "ab") as file:
        offset = file.tell()
        file.write(content)
    return Place(path, offset, len(content))


def read_spilled(spilled: Spilled) -> pl.DataFrame:
    """The frame that was handed on.

    Raises:
        StorageError: Its file is gone, or can't be read.
    """
    if isinstance(spilled, bytes):
        return unpack(spilled)
    try:
        with open(spilled.path, "rb") as file:
            file.seek(spilled.offset)
            return unpack(file.read(spilled.length))
    except OSError as error:
        raise StorageError(
            f"{spilled.path}: can't be read: {error.strerror}",
            "It is the running stage's: leave it there, and run the stage again.",
        ) from error
