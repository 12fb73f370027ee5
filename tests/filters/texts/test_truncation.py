"""Truncation: the finish reason decides."""

from __future__ import annotations

import polars as pl
from filters.bucket import build, pairs, run_filter, texts

from prefdata.filters.base import Texts


def reasons(**config: list[str]) -> list[str | None]:
    made = texts({"a": "whole", "b": "cut o", "c": ""})
    cut = Texts(made.prompts, made.responses.with_columns(finished=pl.Series([True, False, False])))
    some = pairs(("a", "b", "p"), ("b", "a", "p"), ("c", "b", "p"))
    found = run_filter(build("truncation", **config), [(some, cut)]).pairs
    says = "finish reason length after {} characters; generate.max_tokens is the limit"
    for reason, detail in found.select("reason", "detail").iter_rows():
        assert reason is None or detail in (says.format(5), says.format(0))
    return found["reason"].to_list()


def test_a_chosen_response_that_was_cut_off_goes() -> None:
    assert reasons() == [None, "truncated_chosen", "truncated_chosen"]


def test_other_subjects() -> None:
    assert reasons(of=["rejected"]) == ["truncated_rejected", None, "truncated_rejected"]
    assert reasons(of=["prompt"]) == [None, None, None]
    assert reasons(of=["rejected", "chosen"])[2] == "truncated_rejected"
