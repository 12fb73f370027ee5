"""Numbers that are spelled out in English."""

from __future__ import annotations

import re

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_VALUES = {word: n for n, word in enumerate(_SMALL)}
_VALUES |= {word: 10 * n for n, word in enumerate(_TENS, start=2)}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORD = "(?:" + "|".join([*_VALUES, *_SCALES]) + ")"
_SPELLED = re.compile(
    rf"(?<![\w-])(?P<sign>(?:minus|negative) )?(?P<words>{_WORD}(?:(?:[ -]| and ){_WORD}){{0,20}})"
    r"(?![\w-])",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\s*(?:[.!,;)*}$]|$)")


def write_in_digits(text: str) -> str:
    """The text with its spelled numbers in digits.

    "One" counts only where a clause ends with it: "the answer is one of these" has no number.
    """

    def write(match: re.Match[str]) -> str:
        words = re.split(r"[ -]", match["words"].lower())
        value = _evaluate([word for word in words if word != "and"])
        if value is None or (words == ["one"] and not _ENDS.match(text, match.end())):
            return match.group()
        return f"{'-' if match['sign'] else ''}{value}"

    return _SPELLED.sub(write, text)


def _evaluate(words: list[str]) -> int | None:
    """The number, or None where the words are several: "two three"."""
    total, current, room = 0, 0, 10**12
    for word in words:
        if word in _VALUES:
            value = _VALUES[word]
            # What is added must fit below the last digit: 20 + 7, but not 7 + 20.
            if value >= room:
                return None
            current += value
            room = 10 if value >= 20 else 1
        else:
            scale = _SCALES[word]
            current = (current or 1) * scale
            room = 100 if scale == 100 else 1000
            if scale > 100:
                total, current = total + current, 0
    return total + current
