"""Personal data: mail addresses, phone and card numbers, bank accounts and IP addresses in a text.

Phone numbers by phonenumbers (Google's libphonenumber), IBANs and card numbers by the check digits
that python-stdnum knows, both in the extra `privacy`; mail and IP addresses by their form. Found is
what has a form: names, birthdays, postal addresses and national numbers are not, for which a
recogniser of names with a model per language would be needed. Addresses and numbers that are set
aside for examples (example.com, 192.0.2.1, private networks) are no personal data.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.filters.base import Texts
from prefdata.filters.texts.base import FlawConfig, Flaws, Part

Kind = Literal["email", "phone", "card", "iban", "ip"]

_MAIL = re.compile(r"[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")
_RESERVED_MAIL = re.compile(r"@(?:.*\.)?(?:example(?:\.\w+)?|test|invalid|localhost)$", re.I)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b")
# Of IPv6 only global unicast, which begins with 2 or 3: `a::b` is C++.
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]+)(?![\w:]|\.\w)"
)
_ANY = re.compile(r"@|\d\D{0,2}\d")
"""What every one of them holds: most texts end here."""


class PersonalDataConfig(FlawConfig):
    kind: Literal["personal_data"] = "personal_data"
    of: list[Part] = Field(["prompt", "chosen", "rejected"], min_length=1)
    kinds: list[Kind] = Field(["email", "phone", "card", "iban", "ip"], min_length=1)
    region: str = Field(
        "ZZ",
        pattern="^[A-Z]{2}$",
        description="Phone numbers without a country code are read as this country's; ZZ: only "
        "numbers with one count.",
    )


class PersonalData(Flaws):
    """See the module."""

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

    def flaws(self, rows: pl.DataFrame, texts: Texts) -> pl.Series:
        return pl.Series([self._found(text) for text in rows["text"]], dtype=pl.String)

    def _found(self, text: str) -> str | None:
        """The first of each kind by its place: a dropped record must not spread the datum itself."""
        if not _ANY.search(text):
            return None
        found = []
        for kind in self.config.kinds:
            place = next(iter(_FINDERS[kind](text, self.config.region)), None)
            if place is not None:
                found.append(f"{kind} at characters {place[0]} to {place[1]}")
        return "; ".join(found) or None


Places = Iterator[tuple[int, int]]


def _mails(text: str, region: str) -> Places:
    for match in _MAIL.finditer(text):
        if not _RESERVED_MAIL.search(match.group()):
            yield match.span()


def _phones(text: str, region: str) -> Places:
    from phonenumbers import PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, region):
        yield match.start, match.end


def _cards(text: str, region: str) -> Places:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        # The first digit of a payment card's issuer, ISO/IEC 7812; 000… passes every check digit.
        if digits[0] in "3456" and len(set(digits)) > 1 and luhn.is_valid(digits):
            yield match.span()


def _ibans(text: str, region: str) -> Places:
    from stdnum import iban

    for match in _IBAN.finditer(text):
        words = match.group().split(" ")
        # The next word may look like part of the number: the longest valid reading counts.
        for count in range(len(words), 0, -1):
            candidate = " ".join(words[:count])
            if iban.is_valid(candidate):
                yield match.start(), match.start() + len(candidate)
                break


def _addresses(text: str, region: str) -> Places:
    for match in _IP.finditer(text):
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        if address.is_global:
            yield match.span()


_FINDERS = {
    "email": _mails,
    "phone": _phones,
    "card": _cards,
    "iban": _ibans,
    "ip": _addresses,
}
