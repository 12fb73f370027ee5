"""The committer: what is finished is kept soon, in the background, and what fails is said."""

from __future__ import annotations

import threading
import time

import polars as pl
import pytest

from prefdata.errors import StorageError
from prefdata.inference import committer
from prefdata.inference.committer import Committer


def frame(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"n": list(numbers)})


class Store:
    """Takes note of what is committed; fails as long as `error` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.kept: list[list[int]] = []
        self.called = threading.Event()

    def __call__(self, frames: list[pl.DataFrame]) -> None:
        self.called.set()
        if self.error is not None:
            raise self.error
        self.kept.append(pl.concat(frames)["n"].to_list())


def test_what_waits_is_committed_without_another_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "WAIT_SECONDS", 0.01)
    store = Store()
    keeping = Committer(store)
    keeping.add(frame(1))
    assert store.called.wait(60)
    keeping.close()
    assert store.kept == [[1]]


def test_results_share_a_segment_and_keep_their_order() -> None:
    store = Store()
    keeping = Committer(store)
    for n in range(5):
        keeping.add(frame(n))
    keeping.close()
    assert store.kept == [[0, 1, 2, 3, 4]]
    keeping.close()
    assert len(store.kept) == 1


def test_a_flush_waits_for_nothing_but_the_commit() -> None:
    store = Store()
    keeping = Committer(store)
    keeping.flush()
    keeping.add(frame(1))
    started = time.monotonic()
    keeping.flush()
    assert store.kept == [[1]]
    assert time.monotonic() - started < committer.WAIT_SECONDS
    keeping.close()


def test_no_result_starts_no_thread() -> None:
    before = threading.active_count()
    keeping = Committer(Store())
    keeping.close()
    assert threading.active_count() == before


def test_a_failed_commit_stops_the_call_and_its_results_are_tried_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer, "WAIT_SECONDS", 0.0)
    store = Store(StorageError("the disk is full"))
    keeping = Committer(store)
    keeping.add(frame(1))
    keeping.flush()
    with pytest.raises(StorageError, match="full"):
        keeping.add(frame(2))
    store.error = None
    with pytest.raises(StorageError, match="full"):
        keeping.close()
    assert store.kept == [[1]]


def test_a_store_that_stays_broken_is_said_at_the_end() -> None:
    keeping = Committer(Store(StorageError("the disk is full")))
    keeping.add(frame(1))
    with pytest.raises(StorageError, match="full"):
        keeping.close()
