"""Personal data: what is found, where, and what only looks like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filters.bucket import build, pairs, run_filter, texts
from labelled import describe_quality, read_docstring, read_labelled

from prefdata.errors import ConfigError
from prefdata.filters.texts.personal_data import PersonalData

pytest.importorskip("phonenumbers")
pytest.importorskip("stdnum")


# kind -> texts that hold exactly one datum, which stands between « and ».
FOUND = {
    "email": ["Write to «jane.doe+x@mail.acme-corp.co.uk»!", "«a@b.org»"],
    "phone": ["Call «+1 650-253-0000» now", "Tel. «+49 30 901820»", "or «(650) 253-0000»"],
    "ssn": ["My SSN is «536-90-4399»."],
    "card": ["Card «4111 1111 1111 1111», thanks", "«5500-0055-5555-5559»"],
    "iban": [
        "Pay «DE89 3704 0044 0532 0130 00» today",
        "«GB82WEST12345698765432».",
        "IBAN «NL91 ABNA 0417 1643 00» OK THEN",
    ],
    "ip": ["Ping «8.8.8.8».", "Host «2001:4860:4860::8888»"],
}
CLEAN = [
    "jane@example.com and bob@mail.test are examples",
    "version 1.2.3.4.5, at 10.0.0.1 or 192.168.1.1 or 127.0.0.1 or ::1",
    "the order 1234567890123456 and 4111 1111 1111 1112",
    "0000 0000 0000 0000",
    "12:30:45, a::b in C++, std::vector, 3.14159",
    "DE00 3704 0044 0532 0130 00",
    "650 253 0000 as nobody writes it who means to be called",
    "2 + 2 = 4",
    "",
]


def decided(responses: list[str], **config: Any) -> list[tuple[str | None, str | None]]:
    named = {f"a{n}": text for n, text in enumerate(responses)} | {"z": "Fine."}
    some = pairs(*((f"a{n}", "z", "p") for n in range(len(responses))))
    return run_filter(build("personal_data", **config), [(some, texts(named))]).details()


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, some in FOUND.items() for t in some])
def test_it_is_found_where_it_stands_and_not_repeated(kind: str, text: str) -> None:
    start, end = text.index("«"), text.index("»") - 1
    ((reason, detail),) = decided([text.replace("«", "").replace("»", "")])
    assert reason == "personal_data_chosen"
    assert detail is not None
    assert f"{kind} at characters {start} to {end}" in detail.split("; ")
    others = [k for k in FOUND if k != kind]
    plain = text.replace("«", "").replace("»", "")
    assert decided([plain], kinds=others) == [(None, None)]


def test_what_only_looks_like_it_stays() -> None:
    assert decided(CLEAN) == [(None, None)] * len(CLEAN)


def test_labelled_texts_as_well_as_the_docs_say() -> None:
    rows = read_labelled(Path(__file__).parent / "labelled" / "personal_data.jsonl")
    found = decided([row["text"] for row in rows])
    flagged = [reason is not None for reason, _ in found]
    verdicts = zip(flagged, (row["personal"] for row in rows), strict=True)
    assert describe_quality(verdicts) in read_docstring(PersonalData)


def test_a_region_reads_national_numbers() -> None:
    assert decided([CLEAN[6]], region="US")[0][0] == "personal_data_chosen"


def test_all_subjects_are_looked_at() -> None:
    bucket = (
        pairs(("a", "b", "p"), ("a", "c", "p")),
        texts({"a": "ok", "b": "me@acme.org", "c": "ok"}),
    )
    found = run_filter(build("personal_data"), [bucket]).pairs
    assert found["reason"].to_list() == ["personal_data_rejected", None]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"region": "XX"}, "no country"),
        ({"kinds": ["name"]}, "email"),
        ({"region": "us"}, "region"),
    ],
)
def test_wrong_settings_are_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("personal_data", **config)
