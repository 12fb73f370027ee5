"""The one place that touches storage: plain local paths, or any fsspec URL (gs://, s3:// …)."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefdata.errors import StorageError

_REMEDIES = {
    errno.ENOSPC: "Free disk space, or set `data` to a folder on another disk; then run again: "
    "finished work is kept.",
    errno.EDQUOT: "The disk quota is used up: free space, or set `data` to another disk.",
    errno.EACCES: "Make the folder writable, or set `data` to another one.",
    errno.EROFS: "The file system is read-only: set `data` to a folder that can be written.",
    errno.ENOTDIR: "A file stands where a folder is needed: move it, or set `data` elsewhere.",
    errno.EEXIST: "A file stands where a folder is needed: move it, or set `data` elsewhere.",
}


def is_remote(path: str) -> bool:
    """Whether the path is a URL of a remote store."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """`folder/names…`, for paths and URLs alike."""
    return "/".join([folder.rstrip("/"), *names])


def write_bytes(path: str, content: bytes | memoryview, durable: bool = True) -> None:
    """Write whole or not at all: a reader sees the old file or the new one, never half of it.

    A file that is not `durable` outlives the process, but the machine only once `sync` was called
    on it: a disk that is waited for once a file would cost a stage a tenth of its time.
    """
    if is_remote(path):
        fs, key = _remote(path)
        fs.pipe_file(key, bytes(content))
        return
    temporary = f"{path}.{os.getpid()}.{threading.get_ident()}.tmp"
    with _explained(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def sync(path: str) -> None:
    """Wait until the file is on the disk. Remote stores keep what they took."""
    if is_remote(path):
        return
    with _explained(path), open(path, "rb") as file:
        os.fsync(file.fileno())


def read_bytes(path: str) -> bytes | None:
    """The file's content, or None where there is no such file."""
    if is_remote(path):
        fs, key = _remote(path)
        return bytes(fs.cat_file(key)) if fs.exists(key) else None
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(
            f"{path}: can't be read: {error.strerror}", "Check the path and its permissions."
        ) from error


def list_names(folder: str) -> list[str]:
    """Sorted names of the files in the folder; none where there is no such folder."""
    if is_remote(folder):
        fs, key = _remote(folder)
        if not fs.exists(key):
            return []
        return sorted(str(name).rsplit("/", 1)[-1] for name in fs.ls(key, detail=False))
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove(path: str) -> None:
    """Remove the file if it is there."""
    if is_remote(path):
        fs, key = _remote(path)
        if fs.exists(key):
            fs.rm_file(key)
        return
    with _explained(path):
        Path(path).unlink(missing_ok=True)


def make_folder(folder: str) -> None:
    """Make the folder and find out now, before any work, whether it can be written."""
    if is_remote(folder):
        return
    with _explained(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        probe = Path(folder, f".writable.{os.getpid()}")
        probe.touch()
        probe.unlink()


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "Check the path and the disk.")
        raise StorageError(f"{path}: can't be written: {error.strerror}", remedy) from error


def _remote(path: str) -> tuple[Any, str]:
    import fsspec

    fs, key = fsspec.core.url_to_fs(path)
    return fs, str(key)
