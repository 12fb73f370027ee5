"""Redaction: what comes back from a server does not hold the key that was sent to it."""

from __future__ import annotations

import base64
import re
from typing import Any

MARK = "***"
PIECE, LETTERS_PIECE = 8, 12
"""A piece of a key this long is taken for it; one of letters alone may be words of a text."""
_BLOCK = PIECE // 2
_ESCAPES = re.compile(
    r"(?:%|\\u00|\\x)(?P<hex>[0-9a-f]{2})|&#(?:x0*(?P<entity>[0-9a-f]{2})|0*(?P<code>[0-9]{2,3}));",
    re.IGNORECASE,
)
_CHARACTERS = re.compile(f"{_ESCAPES.pattern}|.", re.IGNORECASE | re.DOTALL)
_MARKS = re.compile(r"[^A-Za-z0-9]+")


class Redaction:
    """Replaces a key, and every long piece of it, by MARK.

    It is found as it is, percent-encoded, escaped, in base64 and in hexadecimal, in any case of
    letters, and with blanks, line ends or other marks between its letters.

    Args:
        key: The key; "" where there is none.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._forms = _list_forms(key)
        # Every piece holds one of these blocks whole: no text without one has to be searched.
        cuts = (form[i : i + _BLOCK] for form in self._forms for i in range(0, len(form), _BLOCK))
        self._blocks = sorted({cut for cut in cuts if len(cut) == _BLOCK})

    def redact(self, text: str) -> str:
        """The text without the key."""
        if not self._blocks:
            return text
        plain = _unescape(text) if _ESCAPES.search(text) else text
        letters = _MARKS.sub("", plain).lower()
        if not any(block in letters for block in self._blocks):
            return text
        spans = [span for form in self._forms for span in _find_pieces(letters, form)]
        return _replace(text, spans) if spans else text

    def redact_error(self, text: str) -> str:
        """The text of an error without the key, even if that is a word such as "none"."""
        return self.redact(text.replace(self._key, MARK) if self._key else text)

    def redact_value(self, value: Any) -> Any:
        """The value with all texts in it redacted."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {name: self.redact_value(item) for name, item in value.items()}
        if isinstance(value, list) and value and not isinstance(value[0], float):
            return [self.redact_value(item) for item in value]
        return value


def _list_forms(key: str) -> list[str]:
    """The letters and digits of a key in each of its forms, in lower case.

    None for what is no secret, such as the words that local servers are given in place of a key
    ("EMPTY", "not-needed"): a response may well hold them.
    """
    letters = _MARKS.sub("", key).lower()
    if len(letters) < PIECE or letters.isalpha() or letters.isdecimal():
        return []
    raw = key.encode()
    # Behind 0, 1 or 2 other bytes; letters that hold bits of what stands around it are left out.
    coded = (base64.b64encode(bytes(n) + raw).decode().rstrip("=") for n in range(3))
    base64s = (text[start:-1] for text, start in zip(coded, (0, 2, 3), strict=True))
    return [letters, raw.hex(), *(_MARKS.sub("", text).lower() for text in base64s)]


def _unescape(text: str) -> str:
    return _ESCAPES.sub(_decode, text)


def _decode(match: re.Match[str]) -> str:
    """The character that an escape, or itself, stands for."""
    digits = match["hex"] or match["entity"]
    if not digits and not match["code"]:
        return match[0]
    return chr(int(digits, 16) if digits else int(match["code"]))


def _find_pieces(letters: str, form: str) -> list[tuple[int, int]]:
    """(start, end) of every piece of `form` in `letters`."""
    spans, start = [], 0
    while start <= len(letters) - PIECE:
        end = start + PIECE
        if letters[start:end] not in form:
            start += 1
            continue
        while end < len(letters) and letters[start : end + 1] in form:
            end += 1
        if end - start >= LETTERS_PIECE or not letters[start:end].isalpha():
            spans.append((start, end))
        start = end
    return spans


def _replace(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with MARK in place of the spans, which count its letters and digits alone, escaped
    or not. All else stays as it is written."""
    characters = _CHARACTERS.finditer(text)
    places = [each.span() for each in characters if not _MARKS.match(_decode(each))]
    parts, done = [], 0
    for start, end in sorted(spans):
        first, last = places[start][0], places[end - 1][1]
        if last > done:
            parts += [text[done : max(first, done)], MARK]
            done = last
    return "".join([*parts, text[done:]])
