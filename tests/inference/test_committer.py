"""The committer: what is finished is kept soon, in the background, and what fails is said."""

from __future__ import annotations

import threading
import time

import polars as pl
import pytest

from prefdata.errors import StorageError
from prefdata.inference import committer
from prefdata.inference.committer import LIMIT_SECONDS, WAIT_SECONDS, Committer, Pace


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


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def age_of_oldest(delay: float, seconds: float = 60.0) -> tuple[float, int]:
    """(the greatest age of a result at its commit, number of commits) where a result finishes every
    0.1 s and each commit is done so long after it was due."""
    pace, now, oldest, commits = Pace(), 0.0, 0.0, 0
    since = due = None
    while now < seconds:
        if due is None:
            since, due = now, now + pace.wait_seconds()
        if now < due:
            now += 0.1
            continue
        # Results that finish meanwhile wait for the next commit.
        done, waiting = max(now, due) + delay, now
        oldest, commits = max(oldest, done - since), commits + 1
        pace.record(done - due)
        since, due = waiting, waiting + pace.wait_seconds()
        now = done
    return oldest, commits


@pytest.mark.parametrize("delay", [0.0, 0.1, 1.0, 1.6, 2.4])
def test_no_result_is_older_than_the_limit_however_slow_a_busy_machine_commits(
    delay: float,
) -> None:
    oldest, _ = age_of_oldest(delay)
    assert oldest <= LIMIT_SECONDS + 0.1


def test_quick_commits_are_few() -> None:
    assert age_of_oldest(0.1)[1] <= 60 / WAIT_SECONDS + 5


def test_after_slow_commits_the_next_ones_begin_sooner_until_they_are_quick_again() -> None:
    pace = Pace()
    assert pace.wait_seconds() < WAIT_SECONDS
    waits = []
    for delay in (2.0, 4.0, *[0.1] * committer.REMEMBERED_DELAYS):
        pace.record(delay)
        waits.append(pace.wait_seconds())
    assert waits[:3] == [1.0, 0.0, 0.0]
    assert waits[-1] == WAIT_SECONDS


def test_a_commit_is_timed_from_when_it_was_due() -> None:
    """The clock stands still but for the commit, which is late by 4 s."""
    clock = Clock()
    pace = Pace(clock)

    def commit(_: list[pl.DataFrame]) -> None:
        clock.now += 4.0

    keeping = Committer(commit, pace)
    keeping.add(frame(1))
    keeping.flush()
    assert clock.now == 104.0
    assert pace.wait_seconds() == 0.0
    keeping.close()
