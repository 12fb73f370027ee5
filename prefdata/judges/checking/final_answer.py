"""The number that a worked answer ends in, as an exact fraction.

The marks are `#### 18` (GSM8K, arXiv 2110.14168), `\\boxed{18}` (MATH, arXiv 2103.03874), "A: 18"
and "the answer is 18"; the last of them that holds a number counts. Without a mark it is the last
number of the text, if the text is finished. Numbers spelled out in English are read where there are
no digits. Only numbers are read, no algebra: `2x`, `2\\pi`, `3:5` and `5 or 6` are not numbers.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from prefdata.judges.checking.spelled_numbers import write_in_digits


@dataclass(frozen=True)
class Number:
    """A number in a text.

    Args:
        written: The number as the text has it.
        value: Its value, without regard to a percent sign.
        percent: Whether a percent sign follows.
    """

    written: str
    value: Fraction
    percent: bool

    def equals(self, other: Number, tolerance: float) -> bool:
        """Whether both are the same number.

        A percentage equals the bare number ("50%" and "50") and the fraction ("50%" and "0.5").

        Args:
            other: The other number.
            tolerance: The relative tolerance; it does not apply between two whole numbers.
        """
        pairs = [(self.value, other.value)]
        if self.percent != other.percent:
            pairs.append((self._share, other._share))
        return any(_is_close(a, b, tolerance) for a, b in pairs)

    @property
    def _share(self) -> Fraction:
        return self.value / 100 if self.percent else self.value


def _is_close(a: Fraction, b: Fraction, tolerance: float) -> bool:
    if a.denominator == b.denominator == 1:
        return a == b
    return abs(a - b) <= Fraction(tolerance) * max(abs(a), abs(b))


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_CLEANINGS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), to)
    for pattern, to in (
        (r"<<[^<>\n]*>>", ""),  # GSM8K's calculator notes
        (r"\{,\}", ","),
        (r"\\[!,;:]|\\(?:left|right)\b", ""),
        (r"\\([$%#&])", r"\1"),
        (r"\\[()\[\]]|\\q?quad\b|~", " "),
        (r"\\(?:text|textbf|mathrm|mathbf|textit|mbox)\s*\{([^{}]*)\}", r" \1 "),
        (r"\\[dtc]?frac\s*(\d)\s*(\d)", r" \1/\2 "),
        (r"\\[dtc]?frac\s*\{\s*-\s*([\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}", r" -\1/\2 "),
        (r"\\[dtc]?frac\s*\{\s*([\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}", r" \1/\2 "),
        (r"(?<=-) (?=\d{1,30}/)", ""),  # -\frac{1}{2}
        (r"\\(?:times|cdot)\b|×", "*"),
        (r"\\(?:approx|equiv)\b|≈|＝", "="),
        (r"\^\s*\{?\s*\\circ\s*\}?|°", " "),
        (r"\*\*|__|`", ""),
        (r"[−–‐‑](?=\s?[$€£¥₹]?\.?\d)", "-"),
        (r"(?i)(?<=[\d)\]%])\s+minus\s+(?=[$€£¥₹]?\.?\d)", " - "),
        (r"(?i)\b(?:minus|negative)\s+(?=[$€£¥₹]?\.?\d)", "-"),
    )
]

_INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,30})"
_DECIMAL = rf"(?:{_INTEGER}(?:\.\d{{1,30}})?|\.\d{{1,30}})"
# Letters of scripts that put blanks between words: where others touch a number, it is one.
_LETTER = "0-9_A-Za-zÀ-ɏͰ-ϿЀ-ӿ"
_NUMBER = re.compile(
    rf"""
    (?<![{_LETTER}^])(?<!\d[.,:/])(?<![-+]{{2}})
    (?P<sign>(?<![{_LETTER})\]+-])[-+])? (?:(?P<currency>[$€£¥₹])(?P<inner>[ ]?-)?)? [ ]?
    (?:
        (?P<whole>\d{{1,30}})[ ]+(?P<of>\d{{1,30}})/(?P<parts>\d{{1,30}})
      | (?P<above>{_DECIMAL})[ ]?/[ ]?(?P<below>{_DECIMAL})
      | (?P<base>\d{{1,6}})\^\{{?(?P<raised>\d{{1,2}})\}}?
      | (?P<plain>{_DECIMAL})
        (?: [eE](?P<e>[-+]?\d{{1,3}}) | [ ]?[*x][ ]?10[ ]?\^[ ]?\{{?(?P<power>-?\d{{1,3}})\}}? )?
    )
    (?![\d:]\d|\d|[.,]\d|[ ]?\^|[eE][-+]?\d|[ ]?(?:\\(?:pi|sqrt)|[xyzπ√](?![a-z])))
    (?:
        [ ]?(?P<times>(?:dozen|hundred|thousand|million|billion|trillion)\b|[万萬亿億])
      | (?P<k>(?(currency)[kK]|k)(?![A-Za-z]))
    )?
    (?P<percent>[ ]?%|[ ]?per[ ]?cent(?:age)?\b)?
    """,
    re.VERBOSE,
)
_TIMES = {"dozen": 12, "hundred": 100, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_TIMES |= {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_MARK = re.compile(
    r"(?P<hashes>\#{4}(?!\#))"
    r"|(?P<boxed>\\(?:boxed|fbox)\s*\{)"
    r"|(?P<phrase>(?:^|(?<=\n))[ \t]*A:"
    r"|\b(?i:answers?)\b(?:[^\n.=]{0,80}?(?i:\bis\b|\bare\b|\bequals\b|:|=)|[^\w\n]{0,8}\n))"
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|;")
# What follows a number that is part of something else: a choice, a range, a calculation.
_MORE = re.compile(
    r"[^\d\n.;,()]{0,20}?(?:\bor\b|\band/or\b|[-+*/]|\bto\b|\bx\b)\s?[-+]?[$€£¥₹]?\.?\d"
)
_HEADING = re.compile(r"[.)]\s+\w")
_NOT = re.compile(r"\s*(?:not|n't|never)\b", re.IGNORECASE)
_SPELLED_CHARS = 80
_DIGIT = re.compile(r"\d")
_DENIED = re.compile(r"\b(?:not|never)\s+\Z", re.IGNORECASE)
_GROUPS = re.compile(r"(?<![\d.,] )(?<![\d.,])\d{1,3}(?: \d{3})+(?! ?[\d/])")
_NO_UNIT = re.compile(r"[\d\\+*=^/:;<>|]")
_UNIT_CHARS = 60
_REGION_CHARS = 400


def find_final_number(text: str, finished: bool = True) -> Number | None:
    """The number that the text ends in, or None; an unfinished text has to mark it."""
    cleaned = _clean(text)
    for region, phrase in reversed(_regions(cleaned)):
        # "The answer is 5 or 6" is an answer but not one number, so the search ends here.
        if _has_digits(region):
            return _first(region, phrase)
    if not finished:
        return None
    written = _write_spelled(cleaned, len(cleaned))
    matches = [
        m
        for m in _NUMBER.finditer(written)
        if not _DENIED.search(written[max(0, m.start() - 20) : m.start()])
    ]
    return next((n for m in reversed(matches) if (n := _number(m))), None)


def parse_ground_truth(ground_truth: str) -> Number | None:
    """The one number of a ground truth, which may have a unit or end a worked solution, or None.

    A ground truth with more than one number and its unit gives None: a response must not be
    checked against half of it.
    """
    cleaned = _clean(ground_truth)
    marked = _regions(cleaned)
    region = marked[-1][0] if marked else _join_groups(_write_spelled(cleaned))
    matches = list(_NUMBER.finditer(region))
    if len(matches) != 1:
        return None
    (match,) = matches
    around = region[: match.start()] + " " + region[match.end() :]
    if _NO_UNIT.search(around) or len(around.strip()) > _UNIT_CHARS:
        return None
    return _number(match)


def _clean(text: str) -> str:
    """Bring different notations of the same number into one form."""
    text = re.sub(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞])", " ", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: "^" + m.group().translate(_SUPERSCRIPTS), text)
    text = unicodedata.normalize("NFKC", text).replace("\u2044", "/")
    for pattern, to in _CLEANINGS:
        text = pattern.sub(to, text)
    return text


def _regions(text: str) -> list[tuple[str, bool]]:
    """The text after each mark, in order; True if it may be a sentence."""
    regions = []
    for match in _MARK.finditer(text):
        if match["boxed"]:
            inner = _join_groups(_write_spelled(_braced(text, match.end())))
            regions.append((inner, False))
            continue
        # The number may be on the next line.
        line = text[match.end() : match.end() + _REGION_CHARS].lstrip().partition("\n")[0]
        line = _write_spelled(line)
        if match["hashes"]:
            line = _join_groups(line)
            number = _NUMBER.match(line)
            # "#### 3. Conclusion" is a heading.
            if number and not _HEADING.match(line, number.end()):
                regions.append((line, False))
        elif not _NOT.match(line):
            regions.append((_SENTENCE_END.split(line, maxsplit=1)[0], True))
    return regions


def _has_digits(text: str) -> bool:
    return _DIGIT.search(text) is not None


def _write_spelled(text: str, chars: int = _SPELLED_CHARS) -> str:
    """Digits go before words: "18, of eighteen" is 18."""
    return text if _has_digits(text) else write_in_digits(text[:chars])


def _join_groups(text: str) -> str:
    return _GROUPS.sub(lambda match: match.group().replace(" ", ""), text)


def _braced(text: str, start: int) -> str:
    """The text from `start` to the closing brace."""
    depth = 1
    for position in range(start, min(len(text), start + _REGION_CHARS)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return ""


def _first(region: str, phrase: bool) -> Number | None:
    """The region's number, after its last "="; None if there is none or more than one."""
    last = region.rpartition("=")[2]
    match = _NUMBER.search(last)
    if match is None or _MORE.match(last, match.end()):
        return None
    if not phrase and _NUMBER.search(last, match.end()):
        return None
    return _number(match)


def _number(match: re.Match[str]) -> Number | None:
    try:
        value = _value(match)
    except ZeroDivisionError:
        return None
    negative = (match["sign"] == "-") != (match["inner"] is not None)
    return Number(match.group().strip(), -value if negative else value, bool(match["percent"]))


def _value(match: re.Match[str]) -> Fraction:
    if match["whole"]:
        value = int(match["whole"]) + Fraction(int(match["of"]), int(match["parts"]))
    elif match["base"]:
        value = Fraction(int(match["base"]) ** int(match["raised"]))
    elif match["above"]:
        value = _decimal(match["above"]) / _decimal(match["below"])
    else:
        value = _decimal(match["plain"]) * Fraction(10) ** int(match["e"] or match["power"] or 0)
    return value * _TIMES.get("thousand" if match["k"] else match["times"] or "", 1)


def _decimal(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))
