"""Digests of rows: equal where the content is equal, and nowhere else."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.engines.base import MESSAGES
from prefdata.records.digests import row_digests
from prefdata.records.ids import digest, fraction, prompt_id

COLUMNS = ["text", "other", "number", "flag", "share", "messages"]
SCHEMA: dict[str, Any] = {
    "text": pl.String,
    "other": pl.String,
    "number": pl.Int64,
    "flag": pl.Boolean,
    "share": pl.Float64,
    "messages": MESSAGES,
}

# Few letters, so that texts often collide when joined; and lengths on both sides of 32 bytes.
texts = st.one_of(
    st.text("ab", max_size=3),
    st.text("aä", min_size=29, max_size=34),
    st.text(max_size=40),
)
rows = st.fixed_dictionaries(
    {
        "text": texts,
        "other": texts,
        "number": st.integers(-(2**63), 2**63 - 1),
        "flag": st.booleans(),
        "share": st.floats(allow_nan=False),
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "a"]), "content": texts}),
            max_size=3,
        ),
    }
)


def frame(records: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(records, schema=SCHEMA)


def plain_text(content: bytes) -> bytes:
    short = len(content) < 32
    return struct.pack("<q", len(content)) + (
        content if short else hashlib.sha256(content).digest()
    )


def plain(value: Any) -> bytes:
    """The encoding of one value, written down a second time without Arrow."""
    if isinstance(value, str):
        return plain_text(value.encode())
    if isinstance(value, list):
        return struct.pack("<q", len(value)) + b"".join(map(plain, value))
    if isinstance(value, dict):
        return b"".join(map(plain, value.values()))
    return plain_text(repr(value).encode())


@settings(max_examples=60, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5), st.lists(texts, max_size=2))
def test_a_digest_is_the_sha256_of_the_plain_encoding(
    records: list[dict[str, Any]], context: list[str]
) -> None:
    start = b"".join(plain(part) for part in context)
    wanted = [
        hashlib.sha256(start + b"".join(plain(row[name]) for name in COLUMNS)).digest()
        for row in frame(records).to_dicts()
    ]
    assert row_digests(frame(records), COLUMNS, *context) == wanted


@settings(max_examples=60, deadline=None)
@given(rows, rows, st.sampled_from(COLUMNS))
def test_rows_have_one_digest_exactly_where_they_are_equal(
    one: dict[str, Any], other: dict[str, Any], changed: str
) -> None:
    for second in (other, {**one, changed: other[changed]}):
        a, b = row_digests(frame([one, second]), COLUMNS)
        same = [plain(one[name]) == plain(second[name]) for name in COLUMNS]
        assert (a == b) == all(same)


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, min_size=2, max_size=6), st.data())
def test_order_other_rows_slices_and_chunks_change_no_digest(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = frame(records)
    digests = row_digests(whole, COLUMNS, "context")
    order = data.draw(st.permutations(range(len(records))))
    assert row_digests(whole[order], COLUMNS, "context") == [digests[i] for i in order]
    start = data.draw(st.integers(0, len(records) - 1))
    length = data.draw(st.integers(1, len(records)))
    cut = whole.slice(start, length)
    assert row_digests(cut, COLUMNS, "context") == digests[start : start + length]
    chunked = pl.concat([whole[:start], whole[start:]], rechunk=False)
    assert row_digests(chunked, COLUMNS, "context") == digests
    wider = whole.with_columns(more=pl.lit("no part of it")).select("more", *reversed(COLUMNS))
    assert row_digests(wider, COLUMNS, "context") == digests


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_the_arrow_type_of_a_text_changes_no_digest(kind: pa.DataType) -> None:
    values = ["", "short", "x" * 31, "x" * 32, "ä" * 40]
    read = pl.from_arrow(pa.table({"text": pa.array(values, type=kind)}))
    assert isinstance(read, pl.DataFrame)
    wanted = row_digests(pl.DataFrame({"text": values}), ["text"])
    assert row_digests(read, ["text"]) == wanted
    assert row_digests(read[2:4], ["text"]) == wanted[2:4]


def test_texts_do_not_flow_into_each_other() -> None:
    texts = pl.DataFrame(
        {"one": ["ab", "a", "", "abc", "a" * 40], "two": ["c", "bc", "abc", "", ""]}
    )
    digests = row_digests(texts, ["one", "two"])
    assert len(set(digests)) == texts.height
    assert row_digests(texts, ["two"], "a") != row_digests(texts, ["two"], "", "a")
    lists = pl.DataFrame(
        {
            "one": [["a", "b"], ["a"], ["ab"], [], [""]],
            "two": [["c"], ["b", "c"], ["c"], ["abc"], ["abc"]],
        }
    )
    assert len(set(row_digests(lists, ["one", "two"]))) == lists.height


@pytest.mark.parametrize(
    "column",
    [pl.Series(["a", None]), pl.Series([["a"], None]), pl.Series([["a", None], ["b"]])],
    ids=["text", "list", "text in a list"],
)
def test_a_null_is_refused_and_never_taken_for_an_empty_text(column: pl.Series) -> None:
    with pytest.raises(ValueError, match="null"):
        row_digests(pl.DataFrame({"x": column}), ["x"])


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=3)), max_size=3))
def test_a_prompt_id_is_32_hex_characters_over_the_turns(turns: list[tuple[str, str]]) -> None:
    found = prompt_id(turns)
    assert len(found) == 32
    assert found == prompt_id(list(turns))
    assert 0 <= fraction(found) < 1
    assert found != prompt_id([*turns, ("", "")])


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_digests_of_parts_are_equal_exactly_where_the_parts_are(
    one: list[bytes], other: list[bytes]
) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_the_fraction_does_not_follow_the_bits_that_choose_the_bucket() -> None:
    assert fraction("00000000" + "80000000" + "0" * 16) == 0.5
    assert fraction("ffffffff" + "80000000" + "f" * 16) == 0.5
