"""Progress: all buckets added up; bars on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import io
import re
import threading

import pytest

from prefdata.inference.progress import Progress
from prefdata.inference.runtime import Runtime
from prefdata.inference.usage import Usage
from prefdata.reports.bars import BarProgress
from prefdata.reports.lines import LineProgress
from prefdata.reports.progress import (
    FEW_FILES,
    CallTally,
    Tallies,
    format_seconds,
    open_progress,
    show_files,
)

CALL = "generate policy"


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


def run_bucket(progress: Progress, requests: int = 100, cached: int = 40, buckets: int = 4) -> None:
    progress.start_bucket("generate", CALL, buckets)
    progress.start_call("generate", CALL, requests, cached)
    for _ in range(requests - cached):
        progress.advance("generate", CALL, 1, Usage())


def run_buckets(progress: Progress, buckets: int = 4) -> None:
    """All buckets of a stage, at once."""
    progress.start_stage("generate", 2, 9)
    threads = [
        threading.Thread(target=run_bucket, args=(progress,), kwargs={"buckets": buckets})
        for _ in range(buckets)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.finish_stage("generate", 400, 400, 1.5)


def test_buckets_that_work_at_once_add_up() -> None:
    stream = io.StringIO()
    run_buckets(LineProgress(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "generate (2/9) …"
    assert re.fullmatch(rf"  {CALL}: 400/400, 160 from memo, [\d,]+/s", lines[-2])
    assert lines[-1] == "  400 in, 400 out, 1.50 s"


def test_lines_come_now_and_then() -> None:
    seldom, often = io.StringIO(), io.StringIO()
    run_bucket(LineProgress(seldom))
    run_bucket(LineProgress(often, seconds=0))
    assert seldom.getvalue() == ""
    assert len(often.getvalue().splitlines()) == 60


def test_what_all_buckets_will_ask_is_told_from_those_that_have_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tallies = Tallies()
    tallies.start_bucket(CALL, 8)
    tallies.start(CALL, 100, 20)
    tally = tallies.advance(CALL, 40)
    monkeypatch.setattr("time.monotonic", lambda: tally.started + 4)
    assert (tally.requests, tally.expected) == (100, 800)
    assert tally.format().startswith("60/~800, 20 from memo")
    # 40 of the 80 that this bucket had to ask, of 8 buckets, in 4 seconds.
    assert tally.seconds_left == pytest.approx((8 * 80 - 40) / 10)


def test_every_line_stands_alone_and_tells_the_time_left() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream, seconds=0)
    progress.start_stage("judge", 3, 9)
    progress.start_bucket("judge", CALL, 8)
    progress.start_call("judge", CALL, 100, 0)
    progress.advance("judge", CALL, 20, Usage())
    progress.finish_stage("judge", 100, 100, 1.5)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "judge (3/9) …"
    # Two lines on a call, neither of a bucket, then the totals of the stage in a line of their own.
    assert [re.sub(r"[\d,:]+(?=/s| left)", "N", line) for line in lines[1:]] == [
        f"  {CALL}: 20/~800, N/s, N left",
        f"  {CALL}: 20/~800, N/s, N left",
        "  100 in, 100 out, 1.50 s",
    ]
    assert stream.getvalue().endswith("\n")


class Notes(Progress):
    """Keeps the notes, and says when there is one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.noted = threading.Event()

    def note(self, text: str) -> None:
        self.lines.append(text)
        self.noted.set()


def test_a_model_that_takes_long_to_load_is_announced_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Runtime, "silence_seconds", 0.0)
    notes = Notes()
    runtime = Runtime(notes)
    with runtime.announce_loading("policy"):
        assert notes.noted.wait(60)
        with runtime.announce_loading("policy"):
            pass
    assert notes.lines[0] == "  loading policy …"
    assert re.fullmatch(r"  policy is ready after \d+ s", notes.lines[1])
    assert len(notes.lines) == 2


def test_a_model_that_is_there_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Runtime, "silence_seconds", 3600.0)
    notes = Notes()
    with Runtime(notes).announce_loading("policy"):
        pass
    assert notes.lines == []


def test_nothing_finished_tells_no_time() -> None:
    tally = CallTally(requests=10, cached=10, begun=1, buckets=1)
    assert tally.seconds_left is None
    assert tally.format() == "10/10, 10 from memo"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0:00"), (62, "1:02"), (3600 * 3 + 61, "3:01:01")]
)
def test_seconds_as_a_clock(seconds: float, expected: str) -> None:
    assert format_seconds(seconds) == expected


@pytest.mark.parametrize("width", [40, 60, 120])
def test_bars_fit_the_window_and_leave_a_line_for_each_stage(width: int) -> None:
    stream = io.StringIO()
    with BarProgress(stream, width=width) as progress:
        progress.start_stage("generate", 2, 9)
        run_bucket(progress)
        progress._bars.refresh()
        progress.finish_stage("generate", 100, 100, 1.5)
        progress.note("round 1: 3 of 5 wanted pairs")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n")
    assert all(len(line) <= width for line in plain.splitlines())
    words = " ".join(plain.split())
    assert "stage 2 of 9" in words
    assert "100/~400," in words
    assert "40 from memo" in words
    assert "generate: 100 in, 100 out, 1.50 s" in plain
    assert "round 1: 3 of 5 wanted pairs" in plain
    # The cursor is never hidden: a run that is ended at once could not bring it back.
    assert "\x1b[?25l" not in stream.getvalue()


def test_the_stream_decides() -> None:
    with open_progress(quiet=False, stream=io.StringIO()) as progress:
        assert isinstance(progress, LineProgress)
        assert not progress.draws
    with open_progress(quiet=False, stream=Terminal()) as progress:
        assert isinstance(progress, BarProgress)
        assert progress.draws
    for stream in (io.StringIO(), Terminal()):
        with open_progress(quiet=True, stream=stream) as progress:
            run_buckets(progress)
        assert stream.getvalue() == ""


@pytest.mark.parametrize(("files", "lines"), [(FEW_FILES - 1, 0), (FEW_FILES, 1)])
def test_files_are_counted_where_there_are_many(
    files: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_files(False, "diff") as advance:
        for done in range(1, files + 1):
            advance(done, files)
    assert capsys.readouterr().err.splitlines() == ["diff (1/1) …"] * lines
    with show_files(True, "diff") as advance:
        advance(files, files)
    assert capsys.readouterr().err == ""
