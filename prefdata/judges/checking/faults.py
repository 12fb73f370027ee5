"""What an error in a check says of the row that was checked."""

from __future__ import annotations

from prefdata.errors import PrefdataError

QUOTED_CHARS = 80


def is_of_row(error: BaseException) -> bool:
    """Whether a row may have caused the error; what ends the run is not of that kind."""
    if isinstance(error, PrefdataError):
        return False
    return isinstance(error, Exception) or is_panic(error)


def is_panic(error: BaseException) -> bool:
    """Whether it is a panic of a Rust library, each of which has a class of its own for them."""
    return type(error).__name__ == "PanicException"


def quote(text: str) -> str:
    """The text in quotes for a message, shortened."""
    return repr(text if len(text) <= QUOTED_CHARS else text[:QUOTED_CHARS] + "…")
