"""Source files: which rows they hold, and what is wrong with those that hold none."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.config import SourceParams
from prefdata.errors import DropRecord, SourceError
from prefdata.sources.files import count_rows, format_of, read_rows


def source(path: Path, content: bytes = b"", **settings: Any) -> SourceParams:
    if content:
        path.write_bytes(content)
    return SourceParams(path=str(path), **settings)


def values(params: SourceParams) -> list[tuple[int, Any]]:
    return [(number, value) for number, _, value in read_rows(params)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.json", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.jsonl.gz", "jsonl"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
    ],
)
def test_the_format_is_told_by_the_name(name: str, expected: str) -> None:
    assert format_of(SourceParams(path=name)) == expected


@pytest.mark.parametrize("name", ["a.csv", "a", "a.gz", "a.parquet.zip"])
def test_an_unknown_ending_needs_the_format_setting(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        format_of(SourceParams(path=name))
    assert caught.value.problem.startswith(f"{name}: ")
    assert "jsonl, parquet or hh" in caught.value.remedy
    assert format_of(SourceParams(path=name, format="jsonl")) == "jsonl"


def test_rows_count_by_line_and_blank_lines_hold_none(tmp_path: Path) -> None:
    rows = source(tmp_path / "a.jsonl", b'\n{"prompt":"a"}\n  \n{"prompt":"b"}')
    assert values(rows) == [(2, {"prompt": "a"}), (4, {"prompt": "b"})]
    assert count_rows(rows) == 4


def test_crlf_ends_a_line_and_is_no_part_of_it(tmp_path: Path) -> None:
    rows = source(tmp_path / "a.jsonl", b'{"prompt":"a"}\r\n\r\n{"prompt":"b"}\r\n')
    assert [(n, raw) for n, raw, _ in read_rows(rows)] == [
        (1, b'{"prompt":"a"}'),
        (3, b'{"prompt":"b"}'),
    ]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, separator: str) -> None:
    """Python's own splitlines also cuts at these; inside a JSON string they are text."""
    escaped = separator if separator > " " else f"\\u{ord(separator):04x}"
    content = f'{{"prompt":"a{escaped}b"}}\n{{"prompt":"c"}}\n'.encode()
    rows = source(tmp_path / "a.jsonl", content)
    assert values(rows) == [(1, {"prompt": f"a{separator}b"}), (2, {"prompt": "c"})]


def test_a_bare_string_is_a_prompt_whatever_the_field_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert values(source(path, b'"Hi"\n')) == [(1, {"prompt": "Hi"})]
    assert values(source(path, prompt_field="question")) == [(1, {"question": "Hi"})]


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"prompt": "Hi"', "invalid_json", "column"),
        (b"not json", "invalid_json", "column"),
        (b'{"prompt": "Hi"} {"prompt": "Ho"}', "invalid_json", "column"),
        (b'{"prompt": NaN}', "invalid_json", "column"),
        (b'\xef\xbb\xbf{"prompt": "Hi"}', "invalid_json", "column"),
        (b'{"prompt": "\xff\xfe"}', "invalid_unicode", "not UTF-8"),
        (b'{"prompt": "\xed\xa0\x80"}', "invalid_unicode", "not UTF-8"),
        (b'{"prompt": "caf\xe9"}', "invalid_unicode", "not UTF-8"),
        (rb'{"prompt": "\ud800"}', "invalid_unicode", "a lone surrogate"),
        (rb'{"prompt": "\udc00 low alone"}', "invalid_unicode", "a lone surrogate"),
        (b"[" * 5000, "invalid_json", "column"),
    ],
)
def test_a_line_that_is_not_json_is_told_apart(
    tmp_path: Path, line: bytes, reason: str, detail: str
) -> None:
    rows = list(read_rows(source(tmp_path / "a.jsonl", line + b'\n{"prompt":"next"}\n')))
    number, raw, found = rows[0]
    assert (number, raw) == (1, line)
    assert isinstance(found, DropRecord)
    assert found.reason == reason
    assert detail in found.problem
    assert rows[1][2] == {"prompt": "next"}


def test_limit_reads_the_first_rows_alone(tmp_path: Path) -> None:
    rows = source(tmp_path / "a.jsonl", b'"a"\n"b"\n"c"\n', limit=2)
    assert values(rows) == [(1, {"prompt": "a"}), (2, {"prompt": "b"})]
    assert count_rows(rows) == 2


def test_gzip_holds_the_same_rows(tmp_path: Path) -> None:
    lines = b'{"prompt":"a"}\n{"prompt":"b"}\n'
    plain = source(tmp_path / "a.jsonl", lines)
    packed = source(tmp_path / "a.jsonl.gz", gzip.compress(lines))
    assert values(packed) == values(plain) != []
    assert count_rows(packed) == count_rows(plain)


def test_parquet_holds_texts_messages_and_nulls(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hi"}]
    table = pa.table({"prompt": ["a", None], "messages": [None, chat], "other": [1, 2]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = source(tmp_path / "a.parquet")
    assert values(rows) == [
        (1, {"messages": None, "prompt": "a"}),
        (2, {"messages": chat, "prompt": None}),
    ]
    assert count_rows(rows) == 2


def test_parquet_text_that_is_not_utf8_is_rejected_row_by_row(tmp_path: Path) -> None:
    """Writers that do not check leave such rows behind."""
    raw = pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"prompt": text}), tmp_path / "a.parquet")
    first, second, third = values(source(tmp_path / "a.parquet"))
    assert (first, third) == ((1, {"prompt": "good"}), (3, {"prompt": "fine"}))
    assert isinstance(second[1], DropRecord)
    assert second[1].reason == "invalid_unicode"


def test_parquet_without_the_wanted_columns_lists_those_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), tmp_path / "a.parquet")
    for read in (count_rows, lambda s: list(read_rows(s))):
        with pytest.raises(SourceError) as caught:
            read(source(tmp_path / "a.parquet"))
        assert "no column 'prompt' or 'messages'; it has: response, question" in caught.value.problem
        assert "prompt_field or messages_field" in caught.value.remedy
    renamed = source(tmp_path / "a.parquet", prompt_field="question")
    assert values(renamed) == [(1, {"question": "a"})]


def test_a_parquet_ending_does_not_make_a_parquet_file(tmp_path: Path) -> None:
    rows = source(tmp_path / "a.parquet", b'{"prompt":"a"}\n')
    for read in (count_rows, lambda s: list(read_rows(s))):
        with pytest.raises(SourceError, match=r"a\.parquet: not a Parquet file"):
            read(rows)


def test_damage_inside_a_parquet_file_is_a_source_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [random.Random(i).randbytes(200).hex() for i in range(100)]
    pq.write_table(pa.table({"prompt": texts}), path, compression="none")
    content = bytearray(path.read_bytes())
    content[100:20_000] = b"\xaa" * 19_900
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.parquet: can't be read to its end") as caught:
        list(read_rows(source(path)))
    assert "damaged" in caught.value.remedy


WHOLE = gzip.compress(b"".join(b'{"prompt":"%d"}\n' % (i * i) for i in range(3000)))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(WHOLE[:-9], id="cut off in its trailer"),
        pytest.param(WHOLE[: len(WHOLE) // 2], id="cut off halfway"),
        pytest.param(WHOLE[:4000] + b"\xff" * 300 + WHOLE[4300:], id="damaged inside"),
        pytest.param(b'{"prompt":"a"}\n', id="not gzip"),
    ],
)
def test_a_broken_gzip_file_is_a_source_error(tmp_path: Path, content: bytes) -> None:
    rows = source(tmp_path / "a.jsonl.gz", content)
    for read in (count_rows, lambda s: list(read_rows(s))):
        with pytest.raises(SourceError, match=r"a\.jsonl\.gz: can't be read to its end"):
            read(rows)


def test_a_missing_file_and_a_folder_are_source_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("absent.jsonl", "absent.parquet", "absent.jsonl.gz", "folder.jsonl"):
        with pytest.raises(SourceError, match="can't be opened") as caught:
            count_rows(source(tmp_path / name))
        assert str(tmp_path / name) in caught.value.problem
        assert "relative to where the command runs" in caught.value.remedy
