"""The reader of rows: which rows a file holds, and what is wrong with those that hold none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.errors import DropRecord, SourceError
from prefdata.files import rows
from prefdata.files.rows import (
    SHARE_ROWS,
    Share,
    column_names,
    count_rows,
    format_of,
    guess_format,
    read_rows,
    read_values,
)


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def values(path: str) -> list[tuple[int, Any]]:
    return [(row.number, row.value) for row in read_rows(path)]


READERS: list[Callable[[str], Any]] = [count_rows, lambda path: list(read_rows(path))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.json", "json"),
        ("a.ndjson", "jsonl"),
        ("a.jsonl.gz", "jsonl"),
        ("a.json.zst", "json"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("s3://b/a.csv.xz", "csv"),
        ("a.txt.bz2", "text"),
    ],
)
def test_the_format_is_told_by_the_name(name: str, expected: str) -> None:
    assert format_of(name) == expected


@pytest.mark.parametrize("name", ["a.tsv", "a", "a.gz", "a.parquet.zip"])
def test_an_unknown_ending_says_nothing(name: str) -> None:
    with pytest.raises(SourceError) as caught:
        format_of(name)
    assert caught.value.problem.startswith(f"{name}: can't tell its format from its name")
    assert guess_format(name) is None


def test_rows_count_by_line_and_blank_lines_hold_none(tmp_path: Path) -> None:
    rows = write(tmp_path / "a.jsonl", b'\n{"prompt":"a"}\n  \n{"prompt":"b"}')
    assert values(rows) == [(2, {"prompt": "a"}), (4, {"prompt": "b"})]
    assert count_rows(rows) == 4


def test_crlf_ends_a_line_and_is_no_part_of_it(tmp_path: Path) -> None:
    rows = write(tmp_path / "a.jsonl", b'{"prompt":"a"}\r\n\r\n{"prompt":"b"}\r\n')
    assert [(row.number, row.raw) for row in read_rows(rows)] == [
        (1, b'{"prompt":"a"}'),
        (3, b'{"prompt":"b"}'),
    ]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, separator: str) -> None:
    """Python's own splitlines also cuts at these; inside a JSON string they are text."""
    escaped = separator if separator > " " else f"\\u{ord(separator):04x}"
    content = f'{{"prompt":"a{escaped}b"}}\n{{"prompt":"c"}}\n'.encode()
    rows = write(tmp_path / "a.jsonl", content)
    assert values(rows) == [(1, {"prompt": f"a{separator}b"}), (2, {"prompt": "c"})]


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"prompt": "Hi"', "invalid_json", "column"),
        (b"not json", "invalid_json", "column"),
        (b'{"prompt": "Hi"} {"prompt": "Ho"}', "invalid_json", "column"),
        (b'{"prompt": NaN}', "invalid_json", "column"),
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
    rows = list(read_rows(write(tmp_path / "a.jsonl", line + b'\n{"prompt":"next"}\n')))
    number, raw, found, *_ = rows[0]
    assert (number, raw) == (1, line)
    assert isinstance(found, DropRecord)
    assert found.reason == reason
    assert detail in found.problem
    assert rows[1].value == {"prompt": "next"}


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zst", lambda content: pa.Codec("zstd").compress(content, asbytes=True)),
    ],
)
def test_a_compressed_file_holds_the_same_rows(tmp_path: Path, ending: str, pack: Any) -> None:
    lines = b'{"prompt":"a"}\n{"prompt":"b"}\n'
    plain = write(tmp_path / "a.jsonl", lines)
    packed = write(tmp_path / f"a.jsonl.{ending}", pack(lines))
    assert values(packed) == values(plain) != []
    assert count_rows(packed) == count_rows(plain)
    array = write(tmp_path / f"a.json.{ending}", pack(b' [{"prompt":"a"},{"prompt":"b"}]'))
    assert values(array) == values(plain)
    table = io.BytesIO()
    pq.write_table(pa.table({"prompt": ["a", "b"]}), table)
    parquet = write(tmp_path / f"a.parquet.{ending}", pack(table.getvalue()))
    assert values(parquet) == values(plain)


def test_json_is_an_array_or_one_row_per_line(tmp_path: Path) -> None:
    lines = write(tmp_path / "lines.json", b'{"a":1}\n{"a":2}\n')
    array = write(tmp_path / "array.json", b'\n[{"a":1},\n{"a":2}]')
    assert values(lines) == values(array) == [(1, {"a": 1}), (2, {"a": 2})]
    assert count_rows(array) == 2
    with pytest.raises(SourceError, match="not JSON"):
        values(write(tmp_path / "broken.json", b'[{"a":1},'))


def test_csv_and_text(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", b'a,b\r\n1,"x\ny"\r\n2,z\r\n')
    assert values(table) == [(1, {"a": "1", "b": "x\ny"}), (2, {"a": "2", "b": "z"})]
    text = write(tmp_path / "a.txt", "one\n\ntwo\u2028three\n".encode())
    assert values(text) == [(1, "one"), (3, "two\u2028three")]


def test_a_url_is_read_as_a_path_is() -> None:
    with fsspec.open("memory://rows/a.jsonl", "wb") as file:
        file.write(b'{"a":1}\n')
    assert values("memory://rows/a.jsonl") == [(1, {"a": 1})]
    with pytest.raises(SourceError, match="can't be opened"):
        values("memory://rows/absent.jsonl")
    with pytest.raises(SourceError, match="can't be opened"):
        values("nothing-like-it://rows/a.jsonl")


def test_values_of_a_file_that_must_be_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"a":1}\n{oops\n')
    with pytest.raises(SourceError, match=r"a\.jsonl, row 2: invalid_json"):
        list(read_values(path))


def test_parquet_holds_texts_messages_and_nulls(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "Hi"}]
    table = pa.table({"prompt": ["a", None], "messages": [None, chat], "other": [1, 2]})
    pq.write_table(table, tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    assert [row.value for row in read_rows(path, columns=["messages", "prompt", "none"])] == [
        {"messages": None, "prompt": "a"},
        {"messages": chat, "prompt": None},
    ]
    assert values(path)[1] == (2, {"messages": chat, "prompt": None, "other": 2})
    assert column_names(path) == ["prompt", "messages", "other"]
    assert count_rows(path) == 2


def test_json_in_parquet_is_read_as_the_value(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.parquet")
    texts = pa.array(['{"a": 1}', None, "no JSON"]).cast(pa.json_())
    lists = pa.array([[['{"b": null}']], [[], None], None], pa.list_(pa.list_(pa.string())))
    nested = lists.cast(pa.list_(pa.list_(pa.json_())))
    pq.write_table(pa.table({"one": texts, "many": nested}), path)
    assert [row.value for row in read_rows(path)] == [
        {"one": {"a": 1}, "many": [[{"b": None}]]},
        {"one": None, "many": [[], None]},
        {"one": "no JSON", "many": None},
    ]


def test_parquet_text_that_is_not_utf8_is_dropped_row_by_row(tmp_path: Path) -> None:
    """Writers that do not check leave such rows behind."""
    raw = pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"prompt": text}), tmp_path / "a.parquet")
    first, second, third = values(str(tmp_path / "a.parquet"))
    assert (first, third) == ((1, {"prompt": "good"}), (3, {"prompt": "fine"}))
    assert isinstance(second[1], DropRecord)
    assert second[1].reason == "invalid_unicode"


def test_a_parquet_ending_does_not_make_a_parquet_file(tmp_path: Path) -> None:
    rows = write(tmp_path / "a.parquet", b'{"prompt":"a"}\n')
    for read in READERS:
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
        list(read_rows(str(path)))
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
    rows = write(tmp_path / "a.jsonl.gz", content)
    for read in READERS:
        with pytest.raises(SourceError, match=r"a\.jsonl\.gz: can't be read to its end"):
            read(rows)


def test_a_missing_file_and_a_folder_are_source_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("absent.jsonl", "absent.parquet", "absent.jsonl.gz", "folder.jsonl"):
        with pytest.raises(SourceError, match="can't be opened") as caught:
            count_rows(str(tmp_path / name))
        assert str(tmp_path / name) in caught.value.problem
        assert "relative to where the command runs" in caught.value.remedy


BOM = b"\xef\xbb\xbf"
ARRAY = b'[\n {"a": 1},\n {"a": 2}\n]'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", BOM + b'{"a": 1}\n{"a": 2}\n'),
        ("x.json", BOM + b'[{"a": 1}, {"a": 2}]'),
        ("x.jsonl", ARRAY),
        ("x.jsonl", BOM + ARRAY),
        ("X.JSONL.BZ2", bz2.compress(ARRAY)),
        ("x.json.zst", bytes(pa.Codec("zstd").compress(ARRAY, asbytes=True))),
    ],
)
def test_no_row_is_lost_to_a_mark_an_array_or_a_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = write(tmp_path / name, content)
    assert [row.value for row in read_rows(path)] == [{"a": 1}, {"a": 2}]
    assert count_rows(path) >= 2


def test_a_line_that_is_a_list_makes_no_array_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", b'[1]\n{"a": 2}\n')
    assert [row.value for row in read_rows(path)] == [[1], {"a": 2}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.parquet", "a.csv", "a.txt"])
@pytest.mark.parametrize("of", [1, 2, 3])
def test_every_row_is_in_one_share(
    name: str, of: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SHARE_ROWS", 4)
    path, texts = tmp_path / name, [f"text {number}" for number in range(30)]
    if name.endswith("parquet"):
        # Groups of rows that end within a share's.
        pq.write_table(pa.table({"text": texts}), path, row_group_size=7)
    elif name == "a.json":
        path.write_bytes(orjson.dumps([{"text": text} for text in texts]))
    else:
        lines = texts if name.endswith("txt") else [f'{{"text": "{text}"}}' for text in texts]
        content = "\n".join(["text", *texts] if name.endswith("csv") else lines).encode()
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    shares = [list(read_rows(str(path), share=Share(n, of))) for n in range(of)]
    assert all(len(share) >= 8 for share in shares)
    assert sorted(row for share in shares for row in share) == list(read_rows(str(path)))


def test_lines_of_another_share_are_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.jsonl", b"{}\n" * (2 * SHARE_ROWS + 5))
    parsed: list[bytes] = []
    monkeypatch.setattr(rows, "parse_json", lambda line: parsed.append(line))
    assert len(list(read_rows(path, share=Share(1, 2)))) == len(parsed) == SHARE_ROWS
