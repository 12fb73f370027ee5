"""The link between the driver and one of its worker processes: what each sends the other.

The driver sends an element and the function to apply to it. Until the worker has yielded the last
result, it asks the driver for what only the driver has: models, and the terminal.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from prefdata.engines.base import Operation, Settings


@dataclass(frozen=True)
class Work:
    """Driver: apply the pickled step to an element; worker: `Yielded` each, then `Done`."""

    step: bytes
    element: Any
    side_inputs: dict[str, Any]


@dataclass(frozen=True)
class Yielded:
    """One result of a step, or some finished requests of an operation, packed."""

    result: Any


@dataclass(frozen=True)
class Done:
    """The last result was yielded.

    Of an operation: the requests that were sent again, and whether the run is stopping, so that
    requests without a result are left for another run.
    """

    retries: int = 0
    stopping: bool = False


@dataclass(frozen=True)
class Next:
    """Worker: it goes on to the next result of what it asked for.

    While a model works for minutes, the worker reports what was finished. Without this message the
    driver would read none of it, until neither could send any more.
    """


@dataclass(frozen=True)
class Failed:
    """An exception ended the work: its text, which carries a prefdata error."""

    text: str


@dataclass(frozen=True)
class Asking:
    """Worker: call a method of a model's engine, or read an attribute (None) of it; driver:
    `Yielded`, then `Done`."""

    model: str
    name: str
    arguments: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Operating:
    """Worker: run an operation on requests; driver: `Yielded` frames, then `Done`."""

    model: str
    operation: Operation
    settings: Settings
    rows: bytes


@dataclass(frozen=True)
class Reporting:
    """Worker: a call of the run's progress. The driver replies nothing."""

    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Unloading:
    """Worker: release these models. The driver replies nothing."""

    models: list[str]


class LinkBroken(Exception):
    """The other side is gone."""


def send(connection: Connection, message: Any) -> None:
    """Send a message. Raises LinkBroken."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    try:
        connection.send_bytes(content)
    except OSError as error:
        raise LinkBroken from error


def receive(connection: Connection) -> Any:
    """The next message. Raises LinkBroken."""
    try:
        content = connection.recv_bytes()
    except (EOFError, OSError) as error:
        raise LinkBroken from error
    return pickle.loads(content)
