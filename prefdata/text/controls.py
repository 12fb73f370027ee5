"""Characters that a terminal would obey instead of showing them."""

from __future__ import annotations

import re

_UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 and C1 without line ends and tab: ESC, CSI, OSC …
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of writing
    "\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # unseen
    "\U000e0000-\U000e007f"  # unseen letters ("tags")
)
_SURROGATES = "\ud800-\udfff"  # halves of surrogate pairs, which no stream can encode
_CONTROLS = re.compile(f"[{_UNSEEN}\r{_SURROGATES}]")

UNSEEN = f"[{_UNSEEN}]"
"""A regular expression, of polars (Rust) too, for what no text should hold; a carriage return is a
line's end."""


def escape_controls(text: str) -> str:
    r"""The text with every control as an escape that can be read, such as `\x1b` for ESC.

    Tabs and line ends stay, and so do the joiners that letters and emoji need.

    >>> escape_controls("\x1b[31mred \u202eback")
    '\\x1b[31mred \\u202eback'
    """
    return _CONTROLS.sub(_escape, text)


def escape_json_controls(text: str) -> str:
    r"""JSON with every control that JSON allows in a string as `\uXXXX`: the same values."""
    return _CONTROLS.sub(_escape_json, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _escape_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
