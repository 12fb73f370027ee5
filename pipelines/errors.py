"""Carrying a prefdata error through a runner, which turns every exception into text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from prefdata import errors
from prefdata.errors import PrefdataError

_MARK = re.compile(r"PREFDATA_ERROR<(\{.*?\})>PREFDATA_ERROR", re.DOTALL)


@contextmanager
def carry() -> Iterator[None]:
    """Raise a prefdata error as text that `carried` reads back."""
    try:
        yield
    except PrefdataError as error:
        content = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
        raise RuntimeError(f"PREFDATA_ERROR<{json.dumps(content)}>PREFDATA_ERROR") from error


def carried(error: BaseException) -> PrefdataError | None:
    """The prefdata error in a runner's exception, or None where it is something else.

    Raises KeyboardInterrupt where that is what the runner was stopped by.
    """
    if isinstance(error, PrefdataError):
        return error
    if "KeyboardInterrupt" in str(error):
        # Ctrl-C reaches whichever code runs just then; a runner makes an error of it.
        raise KeyboardInterrupt from None
    found = _MARK.search(str(error))
    if not found:
        return None
    content = json.loads(found.group(1))
    kind = getattr(errors, content["kind"])
    assert issubclass(kind, PrefdataError)
    return kind(content["problem"], content["remedy"])
