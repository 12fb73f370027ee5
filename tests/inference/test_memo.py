"""The memo: whatever was committed is found again, however the places are cut into buckets."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.engines import base
from prefdata.engines.base import result_schema
from prefdata.errors import StorageError
from prefdata.files import storage
from prefdata.inference import Memo
from prefdata.inference.segments import encode_segment
from prefdata.tables.layout import bucket_of

MODEL = "0123456789abcdef" * 2


def results(numbers: list[int], error: str | None = None) -> pl.DataFrame:
    return base.results(
        "loglikelihood",
        [n.to_bytes(16, "big") for n in numbers],
        logprob=[-float(n) for n in numbers],
        n_tokens=numbers,
        error=[error] * len(numbers),
    )


def places(ids: dict[int, str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"key": [n.to_bytes(16, "big") for n in ids], "prompt_id": list(ids.values())},
        schema={"key": pl.Binary, "prompt_id": pl.String},
    )


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "loglikelihood" / MODEL[:16]).glob("*.parquet"))


def test_what_was_kept_is_found_and_nothing_else(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = places({n: f"{n}0000000" + "0" * 24 for n in range(1, 6)})
    memo.commit("loglikelihood", MODEL, results([1, 2, 3]), where)
    found = memo.lookup("loglikelihood", MODEL, where)
    assert found.sort("key").equals(results([1, 2, 3]))
    assert memo.lookup("loglikelihood", MODEL, where[3:]).is_empty()
    assert memo.lookup("loglikelihood", MODEL, where[:0]).schema == result_schema("loglikelihood")


def test_where_the_memo_cannot_be_written_its_own_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    memo = Memo(str(tmp_path / "file"))
    with pytest.raises(StorageError, match="can't be written") as caught:
        memo.commit("loglikelihood", MODEL, results([1]), places({1: "0" * 32}))
    assert caught.value.remedy.endswith("move it, or set `memo` elsewhere.")


def test_models_and_operations_are_kept_apart(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = places({1: "0" * 32})
    memo.commit("loglikelihood", MODEL, results([1]), where)
    assert memo.lookup("loglikelihood", "f" * 32, where).is_empty()
    assert memo.lookup("choose", MODEL, where).is_empty()
    assert memo.lookup("loglikelihood", MODEL, where).height == 1


def test_failures_are_not_kept(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = places({1: "0" * 32, 2: "1" * 32})
    memo.commit("loglikelihood", MODEL, results([2], "out of memory"), where)
    assert segments(tmp_path) == []
    memo.commit(
        "loglikelihood", MODEL, pl.concat([results([1]), results([2], "out of memory")]), where
    )
    assert memo.lookup("loglikelihood", MODEL, where).equals(results([1]))


ids = st.integers(0, 2**32 - 1).map(lambda n: f"{n:08x}" + "0" * 24)


@settings(max_examples=30)
@given(st.lists(ids, min_size=1, max_size=12), st.sampled_from([1, 2, 8]), st.integers(0, 6))
def test_every_bucketing_finds_what_another_one_kept(
    prompt_ids: list[str], before: int, after: int
) -> None:
    where = places(dict(enumerate(prompt_ids)))
    with tempfile.TemporaryDirectory() as folder:
        memo = Memo(folder)
        for bucket in range(before):
            some = [n for n, i in enumerate(prompt_ids) if bucket_of(i, before) == bucket]
            memo.commit("loglikelihood", MODEL, results(some), where)
        found = [
            memo.lookup("loglikelihood", MODEL, where[n : n + 1 + after])
            for n in range(0, len(prompt_ids), 1 + after)
        ]
        assert pl.concat(found).sort("key").equals(results(list(range(len(prompt_ids)))))


def test_only_segments_that_can_hold_a_key_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo = Memo(str(tmp_path))
    where = places({n: f"{n:x}" * 32 for n in range(16)})
    for n in range(16):
        memo.commit("loglikelihood", MODEL, results([n]), where)
    opened: list[str] = []

    def read_bytes(path: str) -> bytes | None:
        opened.append(path)
        return Path(path).read_bytes()

    monkeypatch.setattr(storage, "read_bytes", read_bytes)
    assert memo.lookup("loglikelihood", MODEL, where[4:7]).height == 3
    assert [Path(path).name[:8] for path in opened] == ["4" * 8, "5" * 8, "6" * 8]


@pytest.mark.parametrize(
    "name",
    [
        "x.tmp",
        "README",
        "README.md",
        "00000000-ffffffff-0123456789abcdef.parquet.4711.tmp",
        "notes.parquet",
        "a-b.parquet",
        "copy-of-yesterday.parquet",
        ".hidden-file-.parquet",
    ],
)
def test_a_stray_file_is_ignored(tmp_path: Path, name: str) -> None:
    memo = Memo(str(tmp_path))
    where = places({1: "0" * 32})
    memo.commit("loglikelihood", MODEL, results([1]), where)
    (tmp_path / "loglikelihood" / MODEL[:16] / name).write_bytes(b"not a segment")
    assert memo.lookup("loglikelihood", MODEL, where).equals(results([1]))


def test_two_writers_of_the_same_results_make_one_segment(tmp_path: Path) -> None:
    where = places({n: f"{n}" * 32 for n in (1, 2)})
    Memo(str(tmp_path)).commit("loglikelihood", MODEL, results([1, 2]), where)
    (written,) = segments(tmp_path)
    content = written.read_bytes()
    Memo(str(tmp_path)).commit("loglikelihood", MODEL, results([2, 1]), where)
    assert segments(tmp_path) == [written]
    assert written.read_bytes() == content


def test_results_that_were_kept_twice_are_found_once(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = places({n: f"{n}" * 32 for n in (1, 2, 3)})
    memo.commit("loglikelihood", MODEL, results([1, 2]), where)
    memo.commit("loglikelihood", MODEL, results([2, 3]), where)
    assert len(segments(tmp_path)) == 2
    assert memo.lookup("loglikelihood", MODEL, where).sort("key").equals(results([1, 2, 3]))


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_segment_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    memo = Memo(str(tmp_path))
    where = places({1: "0" * 32, 2: "0" * 32})
    memo.commit("loglikelihood", MODEL, results([1]), where)
    memo.commit("loglikelihood", MODEL, results([2]), where)
    first, second = segments(tmp_path)
    content = first.read_bytes()
    kept = pl.read_parquet(second)["n_tokens"].to_list()
    first.write_bytes(
        {
            "cut": content[:-9],
            "flipped": content[:40] + bytes([content[40] ^ 1]) + content[41:],
            "empty": b"",
            "foreign": second.read_bytes(),
        }[harm]
    )
    for _ in range(2):
        assert memo.lookup("loglikelihood", MODEL, where)["n_tokens"].to_list() == kept
    said = [r.getMessage() for r in caplog.records if first.name in r.getMessage()]
    assert len(said) == 1
    assert "is damaged" in said[0]
    assert first.exists()


def test_a_segment_with_other_columns_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memo = Memo(str(tmp_path))
    where = places({1: "0" * 32, 2: "0" * 32})
    memo.commit("loglikelihood", MODEL, results([1]), where)
    older = pl.read_parquet(segments(tmp_path)[0]).drop("n_prompt_tokens")
    name, content = encode_segment(older)
    (tmp_path / "loglikelihood" / MODEL[:16] / name).write_bytes(content)
    assert memo.lookup("loglikelihood", MODEL, where).equals(results([1]))
    assert [name in r.getMessage() for r in caplog.records] == [True]


def test_of_two_results_of_a_key_the_same_one_is_taken_whatever_their_order(
    tmp_path: Path,
) -> None:
    where = places({1: "0" * 32})
    other = results([1]).with_columns(logprob=pl.lit(-7.0))
    found = []
    for number, order in enumerate(([results([1]), other], [other, results([1])])):
        memo = Memo(str(tmp_path / str(number)))
        for some in order:
            memo.commit("loglikelihood", MODEL, some, where)
        found.append(memo.lookup("loglikelihood", MODEL, where))
    assert found[0].height == 1
    assert found[0].equals(found[1])


def test_another_process_sees_what_this_one_adds_and_the_other_way_round(tmp_path: Path) -> None:
    where = places({n: f"{n:x}" * 32 for n in range(8)})
    memo = Memo(str(tmp_path))
    memo.commit("loglikelihood", MODEL, results([0]), where)
    assert memo.lookup("loglikelihood", MODEL, where).height == 1
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from inference.test_memo import *\n"
        "where = places({n: f'{n:x}' * 32 for n in range(8)})\n"
        "memo = Memo(sys.argv[1])\n"
        "assert memo.lookup('loglikelihood', MODEL, where).height == 1\n"
        "memo.commit('loglikelihood', MODEL, results([1, 2]), where)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), *sys.path], check=True)
    assert memo.lookup("loglikelihood", MODEL, where).height == 3


def test_remote_segments_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    memo = Memo(f"memory://{uuid4().hex}")
    where = places({n: f"{n:x}" * 32 for n in range(4)})
    for n in range(4):
        memo.commit("loglikelihood", MODEL, results([n]), where)
    assert memo.lookup("loglikelihood", MODEL, where).height == 4

    def read_bytes(path: str) -> bytes | None:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(storage, "read_bytes", read_bytes)
    monkeypatch.setattr(storage, "read_many", lambda paths: [read_bytes(p) for p in paths])
    assert memo.lookup("loglikelihood", MODEL, where).height == 4
