"""Carrying a prefdata error through a runner, which turns every exception into text."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prefdata import errors
from prefdata.errors import PrefdataError

_MARK = re.compile(r"PREFDATA_ERROR<(\{.*?\})>PREFDATA_ERROR", re.DOTALL)
_INTERRUPTED = "PREFDATA_INTERRUPTED"


class Carried(RuntimeError):
    """A prefdata error, or Ctrl-C, as text."""


@contextmanager
def carry_errors(stopping: threading.Event) -> Iterator[None]:
    """Raise a prefdata error, or Ctrl-C, as text that `read_carried` reads back."""
    try:
        if stopping.is_set():
            raise KeyboardInterrupt
        yield
    except PrefdataError as error:
        content = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
        raise Carried(f"PREFDATA_ERROR<{json.dumps(content)}>PREFDATA_ERROR") from error
    except KeyboardInterrupt:
        # Ctrl-C interrupts whichever code is running, and a runner would report it as an error.
        raise Carried(_INTERRUPTED) from None


def read_carried(error: BaseException) -> PrefdataError | None:
    """The prefdata error in a runner's exception, or None where it is something else.

    Raises KeyboardInterrupt where a KeyboardInterrupt stopped the runner.
    """
    if isinstance(error, PrefdataError):
        return error
    mark = _MARK.search(str(error))
    if not mark and _INTERRUPTED in str(error):
        raise KeyboardInterrupt from None
    if not mark:
        return None
    content = json.loads(mark.group(1))
    kind = getattr(errors, content["kind"])
    assert issubclass(kind, PrefdataError)
    return kind(content["problem"], content["remedy"])
