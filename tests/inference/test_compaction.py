"""Merging a memo: no entry is lost, whoever reads, writes, merges or is killed meanwhile."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest
from files.flaky import flaky_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from inference.test_memo import MODEL, places, results, segments

from prefdata.errors import StorageError
from prefdata.files import storage
from prefdata.inference import Memo, compaction
from prefdata.inference.compaction import compact, list_models
from prefdata.inference.inventory import count_entries

FOLDER = MODEL[:16]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SETTLE_SECONDS", 0.0)


def ids(count: int) -> dict[int, str]:
    return {n: f"{n * 0x9E3779B1 % 2**32:08x}" + "0" * 24 for n in range(count)}


def filled(memo: Memo, count: int, each: int) -> pl.DataFrame:
    """`count` entries in segments of `each`; returns where they are looked for."""
    where = places(ids(count))
    for start in range(0, count, each):
        some = list(range(start, min(count, start + each)))
        memo.commit("loglikelihood", MODEL, results(some), where)
    return where


def merge(root: str) -> compaction.Merged:
    (done,) = compact(root, [("loglikelihood", FOLDER)])
    return done


@pytest.mark.parametrize("root", ["disk", "memory"])
def test_few_segments_hold_what_many_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 4000)
    monkeypatch.setattr(compaction, "RANGE_BYTES", 16000)
    folder = str(tmp_path) if root == "disk" else f"memory://{uuid4().hex}"
    memo = Memo(folder)
    where = filled(memo, 600, 7)
    before = memo.lookup("loglikelihood", MODEL, where).sort("key")
    done = merge(folder)
    assert (done.segments_before, done.entries, done.duplicates) == (86, 600, 0)
    assert 4 <= done.segments_after < 30
    assert list(list_models(folder)) == [("loglikelihood", FOLDER)]
    listed = memo.folder("loglikelihood", MODEL).list_segments(fresh=True)
    assert len(listed) == done.segments_after
    # Sorted by place: a bucket's reader opens one or two.
    assert all(sum(s.meets(p << 28, p << 28) for s in listed) <= 2 for p in range(16))
    assert memo.lookup("loglikelihood", MODEL, where).sort("key").equals(before)
    for n in range(0, 600, 50):
        assert memo.lookup("loglikelihood", MODEL, where[n : n + 50]).height == 50
    now = count_entries(folder, "loglikelihood", FOLDER)
    assert (now.segments, now.entries, now.duplicates) == (done.segments_after, 600, 0)
    assert now.bytes == done.bytes_after
    assert merge(folder).replaced == []


def test_duplicates_go_and_what_several_places_ask_for_stays_found(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    shared = pl.concat([places({1: "1" * 32, 2: "2" * 32}), places({1: "f" * 32})])
    memo.commit("loglikelihood", MODEL, results([1, 2]), shared)
    memo.commit("loglikelihood", MODEL, results([1, 3]), places({1: "1" * 32, 3: "3" * 32}))
    memo.commit("loglikelihood", MODEL, results([2, 4]), places({2: "2" * 32, 4: "4" * 32}))
    assert count_entries(str(tmp_path), "loglikelihood", FOLDER).duplicates == 1
    done = merge(str(tmp_path))
    assert (done.entries, done.duplicates) == (5, 1)
    for one in shared.iter_slices(1):
        assert memo.lookup("loglikelihood", MODEL, one).height == 1
    # The entry of two places makes no other segment's range wide.
    assert {p.name[:17] for p in segments(tmp_path)} == {"11111111-44444444", "11111111-ffffffff"}


@settings(max_examples=25)
@given(st.data())
def test_any_merges_between_any_commits_change_no_lookup(data: st.DataObject) -> None:
    where = places(ids(12))
    with tempfile.TemporaryDirectory() as folder:
        memo, plain = Memo(f"{folder}/merged"), Memo(f"{folder}/plain")
        for _ in range(data.draw(st.integers(1, 6))):
            if data.draw(st.booleans()):
                compact(memo.root, list(list_models(memo.root)))
            numbers = data.draw(st.lists(st.integers(0, 11), unique=True, max_size=5))
            shift = data.draw(st.sampled_from([0.0, 1.0]))
            some = results(numbers).with_columns(pl.col("logprob") - shift)
            asked = data.draw(st.sampled_from([where, places(ids(6)), where.reverse()]))
            known = some.join(asked, on="key", how="semi")
            for each in (memo, plain):
                each.commit("loglikelihood", MODEL, known, asked)
        for low in range(0, 12, 4):
            wanted = where[low : low + 4]
            found = [m.lookup("loglikelihood", MODEL, wanted).sort("key") for m in (memo, plain)]
            assert found[0].equals(found[1])


def test_storage_that_fails_now_and_then_loses_no_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flaky = flaky_folder(monkeypatch)
    monkeypatch.setattr(compaction, "SEGMENT_BYTES", 1000)
    memo = Memo(flaky)
    where = filled(memo, 60, 4)
    assert memo.lookup("loglikelihood", MODEL, where).height == 60
    assert merge(flaky).entries == 60
    assert memo.lookup("loglikelihood", MODEL, where).height == 60
    assert count_entries(flaky, "loglikelihood", FOLDER).entries == 60


def test_a_damaged_segment_is_neither_merged_nor_removed(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = filled(memo, 30, 10)
    damaged = segments(tmp_path)[0]
    damaged.write_bytes(b"half")
    done = merge(str(tmp_path))
    assert done.entries == 20
    assert damaged.read_bytes() == b"half"
    assert memo.lookup("loglikelihood", MODEL, where).height == 20


def test_a_reader_that_listed_before_finds_everything_after(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = filled(memo, 40, 2)
    folder = memo.folder("loglikelihood", MODEL)
    stale = folder.list_segments()
    plain, calls = type(folder).list_segments, []

    def listed(self: object, fresh: bool = False) -> object:
        calls.append(fresh)
        return plain(folder, fresh) if fresh else stale

    merge(str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(folder), "list_segments", listed)
        assert memo.lookup("loglikelihood", MODEL, where).height == 40
    assert calls == [False, True]


def test_a_name_without_a_file_stops_no_lookup(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = filled(memo, 4, 2)
    (tmp_path / "loglikelihood" / FOLDER / f"00000000-ffffffff-{'0' * 16}.parquet").symlink_to(
        "nowhere"
    )
    assert memo.lookup("loglikelihood", MODEL, where).height == 4


def test_readers_and_writers_beside_merges_lose_nothing(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = places(ids(400))
    over, wrong = threading.Event(), []

    def merges() -> None:
        while not over.is_set():
            try:
                compact(str(tmp_path), list(list_models(str(tmp_path))))
            except StorageError as error:
                assert "another `prefdata memo compact`" in error.problem

    def reads() -> None:
        seen = 0
        while not over.is_set():
            count = written[0]
            found = memo.lookup("loglikelihood", MODEL, where).height
            if found < count:
                wrong.append((found, count))
            seen += 1
        assert seen

    written = [0]
    threads = [threading.Thread(target=work) for work in (merges, merges, reads, reads)]
    for thread in threads:
        thread.start()
    for start in range(0, 400, 5):
        memo.commit("loglikelihood", MODEL, results(list(range(start, start + 5))), where)
        written[0] = start + 5
    over.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert memo.lookup("loglikelihood", MODEL, where).height == 400


KILLED = """
import sys
from prefdata.inference import compaction
compaction.SETTLE_SECONDS = 0.02
compaction.SEGMENT_BYTES = 4000
print("ready", flush=True)
compaction.compact(sys.argv[1], list(compaction.list_models(sys.argv[1])))
"""


def test_a_merge_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    memo = Memo(str(tmp_path))
    where = filled(memo, 800, 8)
    before = memo.lookup("loglikelihood", MODEL, where).sort("key")
    draw = random.Random(0)
    shrank = 0
    for number in range(8):
        count = len(segments(tmp_path))
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        process.stdout.readline()
        until = time.monotonic() + draw.uniform(0, 5)
        # Every other one in the middle of the removals.
        while time.monotonic() < until and process.poll() is None:
            if number % 2 and len(segments(tmp_path)) < count:
                break
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        shrank += len(segments(tmp_path)) < count
        assert memo.lookup("loglikelihood", MODEL, where).sort("key").equals(before)
        filled(memo, 40, 8)
    assert shrank
    merge(str(tmp_path))
    assert memo.lookup("loglikelihood", MODEL, where).sort("key").equals(before)
    assert count_entries(str(tmp_path), "loglikelihood", FOLDER).duplicates == 0


def test_what_killed_writers_left_goes_once_it_is_old(tmp_path: Path) -> None:
    import os

    filled(Memo(str(tmp_path)), 4, 2)
    old, new = (
        tmp_path / "loglikelihood" / FOLDER / f"{n}.parquet.1.1.tmp" for n in ("old", "new")
    )
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    merge(str(tmp_path))
    assert not old.exists()
    assert new.exists()
    assert storage.list_names(str(new.parent)).count(new.name) == 1
