"""Personal data in a text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.filters.base import Texts
from prefdata.filters.subjects import Subject
from prefdata.filters.texts.base import TextFilter, TextFilterConfig

Datum = Literal["email", "phone", "card", "iban", "ip", "ssn"]

_MAIL = re.compile(r"[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")
_RESERVED_MAIL = re.compile(r"@(?:.*\.)?(?:example(?:\.\w+)?|test|invalid|localhost)$", re.I)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
# Of IPv6 only global unicast, which begins with 2 or 3: `a::b` is C++.
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]+)(?![\w:]|\.\w)"
)
# Four numbers in a row, each below 256, are as often the version of something.
_NUMBERED = re.compile(
    r"(?:\b(?:version|ver\.?|release|build|firmware|driver|chapter|section|clause|rule|table|figure)"
    r"\s*(?:number|no\.?)?\s*:?\s*|§\s*|\bv\.?\s?)\Z",
    re.I,
)
_SSN = re.compile(r"(?<![\w.-])\d{3}([- ])\d{2}\1\d{4}(?![\w-]|\.\d)")
# Of North America, written as people there write it.
_NATIONAL = re.compile(r"(?:\(\d{3}\)[ ]?|\d{3}([-.]))\d{3}[-.]\d{4}\Z")
_ANY = re.compile(r"@|\d\D{0,2}\d")
"""A pattern that all of these contain: most texts need no further search."""


class PersonalDataConfig(TextFilterConfig):
    kind: Literal["personal_data"] = "personal_data"
    of: list[Subject] = Field(
        ["prompt", "chosen", "rejected"],
        min_length=1,
        description="The texts to examine.",
        examples=[["rejected"]],
    )
    kinds: list[Datum] = Field(
        ["email", "phone", "card", "iban", "ip", "ssn"],
        min_length=1,
        description="The kinds of data to look for.",
        examples=[["iban"]],
    )
    region: str = Field(
        "ZZ",
        pattern="^[A-Z]{2}$",
        description="Phone numbers without a country code are read as this country's; ZZ: only "
        "those of North America count, written like 650-253-0000 or (650) 253-0000.",
        examples=["US"],
    )


class PersonalData(TextFilter):
    """Drops texts with mail addresses, phone and card numbers, bank accounts, IP addresses or
    social security numbers of the United States.

    Phone numbers are found by phonenumbers (Google's libphonenumber), IBANs and card numbers by
    the check digits of python-stdnum, social security numbers by its ranges, both in the extra
    `privacy`, and mail and IP addresses by their form. Names, birthdays, postal addresses and other
    national numbers are not found: they need a named-entity model per language. Addresses and
    numbers that are set aside for examples (example.com, 192.0.2.1, private networks) are no
    personal data, nor is a version that looks like an address.

    Measured on 48 labelled texts: precision 0.95, recall 0.91. Missed are a national number of
    another country than `region`, and a name with its postal address.
    """

    code = "personal_data"
    config: PersonalDataConfig

    def setup(self) -> None:
        try:
            import phonenumbers
            import stdnum.iban
            import stdnum.luhn  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                f"{self.where}: the filter personal_data needs phonenumbers and python-stdnum",
                "Install the extra: pip install prefdata[privacy]",
            ) from error
        if self.config.region not in {"ZZ", *phonenumbers.SUPPORTED_REGIONS}:
            raise ConfigError(f"{self.where}.region: {self.config.region} is no country's code")

    def describe_flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        return pl.Series([self._locate_data(text) for text in rows["text"]], dtype=pl.String)

    def _locate_data(self, text: str) -> str | None:
        """The position of the first of each kind; its text must not spread with the record."""
        if not _ANY.search(text):
            return None
        places = []
        for kind in self.config.kinds:
            span = next(_FINDERS[kind](text, self.config.region), None)
            if span is not None:
                places.append(f"{kind} at characters {span[0]} to {span[1]}")
        return "; ".join(places) or None


Spans = Iterator[tuple[int, int]]


def _find_mails(text: str, region: str) -> Spans:
    for match in _MAIL.finditer(text):
        if not _RESERVED_MAIL.search(match.group()):
            yield match.span()


def _find_phones(text: str, region: str) -> Spans:
    from phonenumbers import PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, region if region != "ZZ" else "US"):
        if region != "ZZ" or match.raw_string[0] == "+" or _NATIONAL.match(match.raw_string):
            yield match.start, match.end


def _find_cards(text: str, region: str) -> Spans:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        # The first digit of a payment card's issuer, ISO/IEC 7812; 000… passes every check digit.
        if digits[0] in "3456" and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield match.span()


def _find_ibans(text: str, region: str) -> Spans:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        words = match.group().split(" ")
        # The next word may look like part of the number: the longest valid prefix counts.
        for count in range(len(words), 0, -1):
            candidate = " ".join(words[:count])
            if iban.is_valid(candidate):
                yield match.start(), match.start() + len(candidate)
                break


def _find_addresses(text: str, region: str) -> Spans:
    for match in _IP.finditer(text):
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        numbered = _NUMBERED.search(text[max(0, match.start() - 24) : match.start()])
        if address.is_global and not numbered:
            yield match.span()


def _find_social_numbers(text: str, region: str) -> Spans:
    from stdnum.us import ssn

    for match in _SSN.finditer(text):
        if ssn.is_valid(match.group().replace(" ", "-")):
            yield match.span()


_FINDERS: dict[Datum, Callable[[str, str], Spans]] = {
    "email": _find_mails,
    "phone": _find_phones,
    "card": _find_cards,
    "iban": _find_ibans,
    "ip": _find_addresses,
    "ssn": _find_social_numbers,
}
