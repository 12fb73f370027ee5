"""From files to frames of prompts and dropped rows: what must hold for any input."""

from __future__ import annotations

import codecs
import tempfile
from pathlib import Path

import orjson
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prefdata.files import rows as files
from prefdata.files.rows import Share
from prefdata.hashing.ids import fraction, prompt_id
from prefdata.records import Dropped, Prompt
from prefdata.records.base import polars_schema
from prefdata.sources import base as module
from prefdata.sources.base import Source
from prefdata.sources.frames import RECORD_CHARS
from prefdata.sources.merge import drop_duplicates
from prefdata.sources.registry import SOURCES
from prefdata.tables.write import encode


def open_source(path: Path, kind: str = "prompts", **settings: str) -> Source:
    return SOURCES.parse({"kind": kind, "path": str(path), **settings})


def ingest(
    files: dict[str, bytes], kind: str = "prompts", max_prompt_chars: int = 1000
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(prompts with `order`, dropped) of files in the order given."""
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
            sources.append(open_source(Path(folder, name), kind))
        frames = [f for n, s in enumerate(sources) for f in s.read(n, 0.1, max_prompt_chars)]
    prompts = [pl.DataFrame(schema={**polars_schema(Prompt), "order": pl.Int64})]
    dropped = [pl.DataFrame(schema=polars_schema(Dropped))]
    return (
        pl.concat([*prompts, *(p for p, _ in frames)]),
        pl.concat([*dropped, *(r for _, r in frames)]),
    )


texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\u2028\u0301\r\n "), max_size=12)
roles = st.sampled_from(["system", "user", "assistant", "human", "robot"])
messages = st.lists(
    st.fixed_dictionaries({"role": roles, "content": texts}) | texts | st.none(), max_size=4
)
rows = (
    st.fixed_dictionaries({}, optional={"prompt": texts | messages, "messages": messages})
    | st.fixed_dictionaries({"chosen": texts.map("\n\nHuman: {}\n\nAssistant: x".format)})
    | texts
    | st.integers(-(2**63), 2**63)
    | st.none()
)
lines = (
    rows.map(orjson.dumps)
    | st.binary(max_size=20)
    | st.sampled_from(
        [rb'"\ud800"', rb'{"prompt":"\u0000"}', b'"\xff"', b"{", b"NaN", b'{"prompt":"x"}', b"\r"]
    )
    | st.tuples(rows.map(orjson.dumps), st.integers(0, 30)).map(lambda cut: cut[0][: cut[1]])
)


@settings(max_examples=100)
@given(st.lists(lines, max_size=8), st.sampled_from(["prompts", "hh"]))
@example([codecs.BOM_UTF8], "prompts")
@example([codecs.BOM_UTF8 + b'{"prompt":"x"}', codecs.BOM_UTF8], "prompts")
def test_every_line_is_a_prompt_or_dropped(made: list[bytes], kind: str) -> None:
    """Whatever the bytes: nothing crashes, nothing is lost, and both fit their tables."""
    content = b"\n".join(made)
    # A byte order mark at the file's beginning is no part of its first line.
    plain = content.removeprefix(codecs.BOM_UTF8)
    held = [n for n, line in enumerate(plain.split(b"\n"), 1) if line.strip()]
    prompts, dropped = ingest({"a.jsonl": content}, kind)
    places = [*prompts["origin"], *dropped["origin"]]
    assert sorted(int(p.rsplit(":", 1)[1]) for p in places) == held
    assert dropped["fault"].all()
    assert set(dropped["stage"]) <= {"ingest"}
    assert all(dropped["reason"].str.len_chars() > 0)
    assert all(dropped["detail"].str.len_chars() > 0)
    kept, again = drop_duplicates(prompts)
    assert kept.height + again.height == prompts.height
    encode(Prompt, kept, "prompts")
    encode(Dropped, pl.concat([dropped, again]), "dropped")


names = st.sampled_from(["a.jsonl", "b.jsonl", "c.jsonl"])
questions = st.sampled_from([f"Question {i}?" for i in range(12)])


@settings(max_examples=50)
@given(
    st.lists(st.tuples(questions, names), min_size=1, max_size=12).flatmap(
        lambda placed: st.tuples(st.just(placed), st.permutations(placed))
    )
)
def test_the_order_of_rows_and_files_changes_neither_prompts_nor_splits(
    orders: tuple[list[tuple[str, str]], list[tuple[str, str]]],
) -> None:
    found = []
    for placed in orders:
        files: dict[str, bytes] = {}
        for question, name in placed:
            files[name] = files.get(name, b"") + orjson.dumps({"prompt": question}) + b"\n"
        prompts, dropped = ingest(files)
        kept, again = drop_duplicates(prompts)
        assert dropped.height == 0
        assert kept.height + again.height == len(placed)
        found.append(kept.select("prompt_id", "split").sort("prompt_id"))
    assert found[0].equals(found[1])
    assert found[0].height == len({question for question, _ in orders[0]})


def test_of_equal_prompts_the_first_in_file_order_stays() -> None:
    prompts, _ = ingest({"b.jsonl": b'"one"\n"two"\n', "a.jsonl": b'" two\\r\\n"\n"one"\n'})
    kept, again = drop_duplicates(prompts.reverse())
    assert {Path(o).name for o in kept["origin"]} == {"b.jsonl:1", "b.jsonl:2"}
    assert set(again["reason"]) == {"duplicate"}
    assert not again["fault"].any()
    assert set(again["origin"]) == set(kept["prompt_id"])
    assert all("b.jsonl:" in detail for detail in again["detail"])
    assert all("a.jsonl:" in record for record in again["record"])


def test_chunks_do_not_change_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"".join(b'"question %d"\n' % i if i % 5 else b"{\n" for i in range(23))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(content)
        source = open_source(path)
        found = []
        for size in (1, 7, 1000):
            monkeypatch.setattr(module, "SHARE_ROWS", size)
            frames = list(source.read(0, 0.1, 1000))
            found.append([pl.concat(f) for f in zip(*frames, strict=True)])
    for prompts, dropped in found[1:]:
        assert prompts.equals(found[0][0])
        assert dropped.equals(found[0][1])
    assert [frame.height for frame in found[0]] == [18, 5]


@pytest.mark.parametrize("kind", ["prompts", "preferences"])
@pytest.mark.parametrize("of", [2, 3])
def test_shares_are_read_as_the_whole_is(
    kind: str, of: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SHARE_ROWS", 4)
    path = tmp_path / "a.jsonl"
    row = b'{"prompt": "question %d", "chosen": "yes", "rejected": "no", "field_%d": 1}\n'
    path.write_bytes(b"".join(row % (i, i // 9) if i % 5 else b"{\n" for i in range(30)))
    whole, shares = open_source(path, kind), [open_source(path, kind) for _ in range(of)]
    expected = [pl.concat(f) for f in zip(*whole.read(0, 0.1, 1000), strict=True)]
    read = [f for n, each in enumerate(shares) for f in each.read(0, 0.1, 1000, Share(n, of))]
    prompts, dropped = (pl.concat(frames) for frames in zip(*read, strict=True))
    assert prompts.sort("order").equals(expected[0].sort("order"))
    assert dropped.sort("origin").equals(expected[1].sort("origin"))
    assert set().union(*(each.unread for each in shares)) == whole.unread


def test_the_source_is_the_rows_own_or_the_file() -> None:
    content = b'{"prompt":"a","source":"forum"}\n{"prompt":"b","source":3}\n{"prompt":"c"}\n'
    prompts, _ = ingest({"a.jsonl": content})
    named, number, none = prompts["source"]
    assert named == "forum"
    assert number == none
    assert number.endswith("a.jsonl")


def test_the_split_is_fixed_by_the_id_and_grows_with_the_fraction(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'"question %d"\n' % i for i in range(400)))
    source = open_source(path)
    tests = []
    for share in (0.0, 0.1, 0.3):
        ((prompts, _),) = source.read(0, share, 1000)
        test = prompts.filter(pl.col("split") == "test")["prompt_id"]
        assert list(test) == [i for i in prompts["prompt_id"] if fraction(i) < share]
        assert abs(test.len() - share * 400) <= 30
        tests.append(set(test))
    assert set() == tests[0] < tests[1] < tests[2]


def test_a_dropped_row_is_kept_in_short() -> None:
    _, dropped = ingest({"a.jsonl": b'{"prompt":"' + b"x" * 1_000_000 + b'"}'})
    record = orjson.loads(dropped["record"][0])
    assert dropped["reason"].to_list() == ["too_long"]
    assert record.startswith('{"prompt":"xxx')
    assert record.endswith("… (1000013 characters)")
    assert len(record) < RECORD_CHARS + 40


def test_a_detail_is_short_however_long_the_row_is() -> None:
    role = orjson.dumps({"messages": [{"role": "r" * 1_000_000, "content": "Hi"}]})
    field = orjson.dumps({"f" * 1_000_000: 1})
    _, dropped = ingest({"a.jsonl": role + b"\n" + field})
    assert dropped["reason"].to_list() == ["unknown_role", "missing_field"]
    assert all(dropped["detail"].str.len_chars() < 2 * RECORD_CHARS)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4))
def test_the_id_depends_on_how_turns_are_cut(turns: list[tuple[str, str]]) -> None:
    """The same letters cut elsewhere are another conversation."""
    identity = prompt_id(turns)
    assert len(identity) == 32
    assert prompt_id(list(turns)) == identity
    flat = [part for turn in turns for part in turn]
    for at in range(1, len(flat)):
        if flat[at]:
            moved = [*flat]
            moved[at - 1], moved[at] = flat[at - 1] + flat[at][0], flat[at][1:]
            assert prompt_id(zip(moved[::2], moved[1::2], strict=True)) != identity
    assert prompt_id([*turns, ("", "")]) != identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            [("user", "ab"), ("assistant", "c")],
            [("user", "a"), ("assistant", "bc")],
        ),
        ([("user", "a\n\nb")], [("user", "a"), ("user", "b")]),
        ([("user", "a")], [("system", "a")]),
    ],
)
def test_other_turns_have_another_id(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    assert prompt_id(one) != prompt_id(other)


def test_a_row_brings_its_ground_truth_along(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "answer": "#### 18"},
        {"prompt": "b", "answer": 18},
        {"prompt": "c", "answer": {"keywords": ["x"], "a": None}},
        {"prompt": "d", "answer": None},
        {"prompt": "e", "ground_truth": "of another field"},
        {"prompt": "a", "answer": "another one, of a duplicate"},
    ]
    wanted = {"a": "#### 18", "b": "18", "c": '{"a":null,"keywords":["x"]}', "d": None, "e": None}
    jsonl, parquet = tmp_path / "q.jsonl", tmp_path / "q.parquet"
    jsonl.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    told = [{**row, "answer": row.get("answer") and str(row["answer"])} for row in rows[:2]]
    pl.DataFrame(told).write_parquet(parquet)
    for path, expected in ((jsonl, wanted), (parquet, dict(list(wanted.items())[:2]))):
        source = open_source(path, ground_truth_field="answer")
        frames = list(source.read(0, 0.1, 1000))
        kept, _ = drop_duplicates(pl.concat([prompts for prompts, _ in frames]))
        found = {row["messages"][0]["content"]: row["ground_truth"] for row in kept.to_dicts()}
        assert found == expected
        assert kept.schema == polars_schema(Prompt)


def test_a_ground_truth_that_json_cannot_say_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    pl.DataFrame({"prompt": ["a"], "ground_truth": [b"\xff"]}).write_parquet(path)
    ((prompts, dropped),) = open_source(path).read(0, 0.1, 1000)
    assert prompts.height == 0
    assert dropped["reason"].to_list() == ["wrong_type"]
    assert dropped["detail"][0].startswith("ground_truth: ")
