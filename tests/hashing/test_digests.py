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

from prefdata.hashing.digests import row_digests
from prefdata.hashing.ids import digest, fraction, prompt_id
from prefdata.messages.columns import MESSAGES

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
        "text": st.none() | texts,
        "other": texts,
        "number": st.integers(-(2**63), 2**63 - 1),
        "flag": st.booleans(),
        "share": st.none() | st.floats(allow_nan=False),
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "a"]), "content": texts}),
            max_size=3,
        ),
    }
)


def digests(rows: pl.DataFrame, columns: list[str], *context: str) -> list[str]:
    return row_digests(rows, columns, *context).to_list()


def frame(records: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(records, schema=SCHEMA)


def plain(value: Any) -> str:
    """The encoding of one value, written down a second time without polars."""
    if value is None:
        return "~"
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).hexdigest()
    if isinstance(value, list):
        return f"{len(value)};" + "".join(map(plain, value))
    if isinstance(value, dict):
        # In the schema's order, whatever the order of the keys.
        return "(" + "".join(plain(value[name]) for name in ("role", "content"))
    if isinstance(value, float):
        return f"{struct.unpack('<Q', struct.pack('<d', value))[0]};"
    return f"{str(value).lower()};"


@settings(max_examples=60)
@given(st.lists(rows, min_size=1, max_size=5), st.lists(texts, max_size=2))
def test_a_digest_is_the_sha256_of_the_plain_encoding(
    records: list[dict[str, Any]], context: list[str]
) -> None:
    start = "".join(plain(part) for part in context)
    wanted = [
        hashlib.sha256((start + "".join(plain(row[name]) for name in COLUMNS)).encode()).hexdigest()
        for row in frame(records).to_dicts()
    ]
    assert digests(frame(records), COLUMNS, *context) == wanted


@settings(max_examples=60)
@given(rows, rows, st.sampled_from(COLUMNS))
def test_rows_have_one_digest_exactly_where_they_are_equal(
    one: dict[str, Any], other: dict[str, Any], changed: str
) -> None:
    for second in (other, {**one, changed: other[changed]}):
        a, b = digests(frame([one, second]), COLUMNS)
        same = [plain(one[name]) == plain(second[name]) for name in COLUMNS]
        assert (a == b) == all(same)


@settings(max_examples=40)
@given(st.lists(rows, min_size=2, max_size=6), st.data())
def test_order_other_rows_slices_and_chunks_change_no_digest(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = frame(records)
    found = digests(whole, COLUMNS, "context")
    order = data.draw(st.permutations(range(len(records))))
    assert digests(whole[order], COLUMNS, "context") == [found[i] for i in order]
    start = data.draw(st.integers(0, len(records) - 1))
    length = data.draw(st.integers(1, len(records)))
    cut = whole.slice(start, length)
    assert digests(cut, COLUMNS, "context") == found[start : start + length]
    chunked = pl.concat([whole[:start], whole[start:]], rechunk=False)
    assert digests(chunked, COLUMNS, "context") == found
    wider = whole.with_columns(more=pl.lit("no part of it")).select("more", *reversed(COLUMNS))
    assert digests(wider, COLUMNS, "context") == found


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_the_arrow_type_of_a_text_changes_no_digest(kind: pa.DataType) -> None:
    values = ["", "short", "x" * 31, "x" * 32, "ä" * 40]
    read = pl.from_arrow(pa.table({"text": pa.array(values, type=kind)}))
    assert isinstance(read, pl.DataFrame)
    wanted = digests(pl.DataFrame({"text": values}), ["text"])
    assert digests(read, ["text"]) == wanted
    assert digests(read[2:4], ["text"]) == wanted[2:4]


def test_texts_do_not_flow_into_each_other() -> None:
    texts = pl.DataFrame(
        {"one": ["ab", "a", "", "abc", "a" * 40], "two": ["c", "bc", "abc", "", ""]}
    )
    found = digests(texts, ["one", "two"])
    assert len(set(found)) == texts.height
    assert digests(texts, ["two"], "a") != digests(texts, ["two"], "", "a")
    lists = pl.DataFrame(
        {
            "one": [["a", "b"], ["a"], ["ab"], [], [""]],
            "two": [["c"], ["b", "c"], ["c"], ["abc"], ["abc"]],
        }
    )
    assert len(set(digests(lists, ["one", "two"]))) == lists.height


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["", None, "~"]),
        pl.Series([[], None, [None], [""]], dtype=pl.List(pl.String)),
        pl.Series([0, None, 1], dtype=pl.Int64),
        pl.Series([0.0, None, float("nan")]),
        pl.Series([None, {"a": None}, {"a": ""}], dtype=pl.Struct({"a": pl.String})),
    ],
    ids=["text", "list", "number", "float", "struct"],
)
def test_a_null_is_like_nothing_else(column: pl.Series) -> None:
    wide = pl.DataFrame({"x": column, "y": column.reverse()})
    assert len(set(digests(wide, ["x"]))) == wide.height
    assert digests(wide, ["y"]) == digests(wide, ["x"])[::-1]


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
