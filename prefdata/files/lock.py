"""One run at a time in a folder, on local disks, network file systems and object stores.

A run announces itself by a file of its own and then lists the folder: it holds the folder if no
other run is there, else it withdraws. Of two runs at least the later one sees the other, so never
do both hold it. All that a store has to do is to list a file once it is written. As no name is used
twice, removing the file of a dead run can't hit that of a living one.

A run of this machine lives as long as its process. One of another machine rewrites its file every
BEAT_SECONDS; when nobody has seen it do so for SILENT_SECONDS, it is dead. No two clocks are
compared. So a run that sleeps longer than that (a closed laptop, SIGSTOP, a network that is cut)
can lose its folder to another machine. It finds out at its next beat, and stops.
"""

from __future__ import annotations

import logging
import os
import platform
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from prefdata.errors import AbortError, FolderInUse, StorageError
from prefdata.files import storage

BEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0
LOOK_SECONDS = 2.0
"""How often a run looks for a beat of a run of another machine."""
TRIES = 10
"""How often a run announces itself where others do so at the same moment."""
PAUSE_SECONDS = 0.2
SAME_SECONDS = 1.0
"""The start of one process, read twice, differs by less: where the clock is set meanwhile."""

_PREFIX, _SUFFIX = "run-", ".lock"
_OWN: set[str] = set()
"""The names of this process's files."""

logger = logging.getLogger(__name__)


class Holder(BaseModel):
    """The run that holds a folder.

    Attributes:
        command: What it runs, such as "prefdata judge".
        host: The name of its machine.
        machine: Where its process id is valid: a start of a machine, and a space of process ids.
        process: The id of its process.
        started: When the process started, in seconds since 1970.
        since: When it took the folder, in UTC.
        beats: How often it has rewritten its file.
    """

    command: str
    host: str
    machine: str
    process: int
    started: float
    since: str
    beats: int = 0

    def describe(self) -> str:
        """What it runs, where and since when."""
        return f"{self.command} on {self.host}, process {self.process}, since {self.since}"


class FolderLock:
    """The lock of one run on one folder.

    Args:
        folder: A path or URL; it is made if need be.
        command: What the run is, for other runs to say.
        on_lost: Called once, in another thread, when the lock turns out to be lost.
        sleep: How to wait between two looks at the folder.
    """

    def __init__(
        self,
        folder: str,
        command: str,
        on_lost: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self.lost = False
        self._on_lost, self._sleep = on_lost, sleep
        self._name = f"{_PREFIX}{uuid.uuid4().hex}{_SUFFIX}"
        self._path = storage.join(folder, self._name)
        self._holder = Holder(
            command=command,
            host=platform.node(),
            machine=identify_machine(),
            process=os.getpid(),
            started=psutil.Process().create_time(),
            since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        )

    def acquire(self) -> list[Holder]:
        """Take the folder.

        Returns:
            The dead runs that it was taken over from.

        Raises:
            FolderInUse: Another run holds it.
            StorageError: It can't be written.
        """
        storage.make_folder(self.folder)
        for _ in range(TRIES):
            dead = self._find_dead()
            _OWN.add(self._name)
            self._write()
            if not set(self._list_others()) - set(dead):
                for name in dead:
                    storage.remove(storage.join(self.folder, name))
                return [holder for holder in dead.values() if holder is not None]
            self.release()
            self._sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
        raise FolderInUse(
            f"{self.folder}: other runs start in it again and again",
            "Start one at a time, or set `data` to a folder of its own for each.",
        )

    def release(self) -> None:
        """Leave the folder."""
        # What can't be removed now is that of a dead run, as soon as this process has ended.
        with suppress(StorageError):
            storage.remove(self._path)
        _OWN.discard(self._name)

    def beat(self) -> None:
        """Show other machines that this run lives, and find out whether the lock is lost."""
        # A store that fails for a moment is tried again at the next beat.
        with suppress(StorageError):
            if storage.read_bytes(self._path) is None:
                self.lost = True
                self._on_lost()
                return
            self._holder = self._holder.model_copy(update={"beats": self._holder.beats + 1})
            self._write()

    def _write(self) -> None:
        content = self._holder.model_dump_json(indent=1).encode() + b"\n"
        storage.write_bytes(self._path, content, durable=False)

    def _list_others(self) -> list[str]:
        names = storage.list_names(self.folder)
        found = [n for n in names if n.startswith(_PREFIX) and n.endswith(_SUFFIX)]
        return [name for name in found if name != self._name]

    def _find_dead(self) -> dict[str, Holder | None]:
        """The dead runs by the names of their files. Raises FolderInUse where one lives."""
        dead: dict[str, Holder | None] = {}
        for name in self._list_others():
            content = self._read(name)
            if content is None:
                continue
            holder = _parse(content)
            lives = None if holder is None else _find_process(holder, name)
            if lives is None:
                lives = self._watch(name, content, holder)
            if lives:
                who = holder.describe() if holder else f"a run that wrote {name}"
                raise FolderInUse(
                    f"{self.folder} is in use: {who}",
                    "Wait until it ends or stop it, or set `data` to another folder. Where its "
                    "process is dead, its place is taken without more ado.",
                )
            if lives is False:
                dead[name] = holder
        return dead

    def _watch(self, name: str, content: bytes, holder: Holder | None) -> bool | None:
        """Whether a run of another machine beats; None where it has left meanwhile."""
        logger.warning(
            "%s: looking for up to %g s whether its run still lives (%s)",
            self.folder,
            SILENT_SECONDS,
            holder.describe() if holder else name,
        )
        for _ in range(round(SILENT_SECONDS / LOOK_SECONDS)):
            self._sleep(LOOK_SECONDS)
            now = self._read(name)
            if now != content:
                return None if now is None else True
        return False

    def _read(self, name: str) -> bytes | None:
        return storage.read_bytes(storage.join(self.folder, name))


@contextmanager
def hold_folder(folder: str, command: str, on_lost: Callable[[], None]) -> Iterator[list[Holder]]:
    """Hold a folder; yields the dead runs that it was taken over from.

    Raises:
        FolderInUse: Another run holds it.
        AbortError: Another machine took it over meanwhile.
    """
    lock, ended = FolderLock(folder, command, on_lost), threading.Event()
    before = storage.list_names(folder)
    dead = lock.acquire()

    def beat() -> None:
        while not lock.lost and not ended.wait(BEAT_SECONDS):
            lock.beat()

    beating = threading.Thread(target=beat, name="lock", daemon=True)
    beating.start()
    try:
        yield dead
    except KeyboardInterrupt:
        if not lock.lost:
            raise
    finally:
        ended.set()
        beating.join()
        lock.release()
        if not before:
            storage.remove_empty(folder)
    if lock.lost:
        raise AbortError(
            f"{folder}: another run took it over while this one did not respond for "
            f"{SILENT_SECONDS:g} s",
            "Let the other one end, then run its stages again: finished model calls are kept.",
        )


def identify_machine() -> str:
    """Where this process's id is valid: a start of a machine, and a space of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}"


def _parse(content: bytes) -> Holder | None:
    try:
        return Holder.model_validate_json(content)
    except ValidationError:
        return None


def _find_process(holder: Holder, name: str) -> bool | None:
    """Whether the run's process lives; None where that can't be told from here."""
    if holder.machine != identify_machine():
        return None
    if holder.process == os.getpid():
        return name in _OWN
    try:
        process = psutil.Process(holder.process)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        started = process.create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None
    return True if abs(started - holder.started) < SAME_SECONDS else None
