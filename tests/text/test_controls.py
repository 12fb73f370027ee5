"""What a terminal would obey is shown as text, and JSON keeps its values."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from prefdata.text.controls import escape_controls, escape_json_controls

JOINERS = "\u200c\u200d"
HOSTILE = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b31m\r\x08\u202eevil\u2066\ud800\U000e0041\u2028"


def obeyed(char: str) -> bool:
    """Whether a terminal might do something with the character instead of showing it."""
    bidi = unicodedata.bidirectional(char) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI",
                                               "FSI", "PDI"}  # fmt: skip
    return bidi or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}


def test_every_character_that_is_obeyed_is_escaped_and_no_letter_is() -> None:
    every = [chr(code) for code in range(0x110000)]
    changed = {char for char in every if escape_controls(char) != char}
    assert {char for char in every if obeyed(char)} - changed == {"\n", "\t"}
    categories = {unicodedata.category(char) for char in changed}
    assert categories <= {"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"}
    assert not changed & set(JOINERS)


def test_escapes_can_be_read() -> None:
    assert escape_controls("a\x1b[31m\u202eb\tc\n\U000e0041") == (
        "a\\x1b[31m\\u202eb\tc\n\\U000e0041"
    )
    assert escape_controls(HOSTILE).isprintable()


@given(st.text())
@example(HOSTILE.replace("\ud800", ""))
def test_json_without_controls_has_the_same_values(text: str) -> None:
    escaped = escape_json_controls(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(escaped) == {text: [text]}
    assert not any(map(obeyed, escaped))
