"""kill -9 time and again: the small form of benchmarks/kills.py."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_run_that_is_killed_time_and_again_ends_as_one_that_never_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(root / "benchmarks")
    figures = importlib.import_module("kills").measure(prompts=24, count=6)
    assert figures["kills"] == 6
    assert figures["identical"]
    assert figures["files"] > 40
    assert figures["asked_again"] == 0
    assert figures["seconds_lost_max"] <= 5
