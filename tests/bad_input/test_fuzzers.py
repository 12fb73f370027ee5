"""A few inputs of each fuzzer of benchmarks/attacks.py: all are read or refused."""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path

import pytest

from prefdata.errors import PrefdataError

KINDS = ("ches", "importers", "ingest", "labels", "params", "replies", "verifiers")


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_inputs_are_read_or_refused(
    kind: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(root / "benchmarks")
    fuzzers = importlib.import_module("fuzzers")
    assert sorted(fuzzers.INPUTS) == sorted(KINDS)
    refused = 0
    for number in range(10):
        with suppress(PrefdataError):
            fuzzers.feed(kind, number)
            continue
        refused += 1
    assert refused < 10
