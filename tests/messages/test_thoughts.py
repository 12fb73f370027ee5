"""Taking what a model wrote apart: every state, every format, and what holds for any text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.engines.base import results
from prefdata.messages.marks import KNOWN, Marks, find_marks
from prefdata.messages.thoughts import FAULTS, PARTS, STATES, cut_texts, split_thoughts

THINK = replace(KNOWN["think"], opens=False)
OPENED = replace(KNOWN["think"], opens=True)
ANY = tuple(replace(marks, opens=False) for marks in KNOWN.values())
OPENINGS = st.sampled_from([True, False, None])


def make_results(texts: Sequence[str | None], **columns: Any) -> pl.DataFrame:
    keys = [n.to_bytes(16) for n in range(len(texts))]
    reasons = columns.pop("finish_reason", ["stop"] * len(texts))
    return results("generate", keys, text=texts, finish_reason=reasons, **columns)


def split_one(text: str, marks: Marks, reason: str = "stop") -> tuple[Any, ...]:
    rows = split_thoughts(make_results([text], finish_reason=[reason]), [marks])
    return rows.select("thoughts", "text", "state", "raw_text").row(0)


@pytest.mark.parametrize(
    ("marks", "text", "reason", "thoughts", "response", "state"),
    [
        (THINK, "It rains.", "stop", None, "It rains.", "none"),
        (THINK, " \nIt rains. ", "stop", None, " \nIt rains. ", "none"),
        (THINK, "<think>\nWet?\n</think>\n\nIt rains.", "stop", "Wet?", "It rains.", "closed"),
        (THINK, "\n<think>a\n\nb</think>It rains.\n", "stop", "a\n\nb", "It rains.\n", "closed"),
        (THINK, "<think>Wet?</think>It ra", "length", "Wet?", "It ra", "closed"),
        (THINK, "<think>\n\n</think>\n\nIt rains.", "stop", "", "It rains.", "empty"),
        (THINK, "<think>\nWet? Let me", "length", "Wet? Let me", "", "cut_off"),
        (THINK, "<think>\nWet? It rains.", "stop", "Wet? It rains.", "", "unclosed"),
        (
            THINK,
            "<think>a</think>b<think>c</think>d",
            "stop",
            "a",
            "b<think>c</think>d",
            "reopened",
        ),
        (THINK, "<think>a</think>b</think>c", "stop", "a", "b</think>c", "reopened"),
        (THINK, "<think>a<think>b</think>c", "stop", "a<think>b", "c", "closed"),
        (
            THINK,
            "<think>a<think>b</think>c</think>d",
            "stop",
            "a<think>b",
            "c</think>d",
            "reopened",
        ),
        (THINK, "The mark <think> opens.", "stop", None, "The mark <think> opens.", "none"),
        (THINK, "The mark </think> closes.", "stop", None, "The mark </think> closes.", "none"),
        (OPENED, "Wet?\n</think>\n\nIt rains.", "stop", "Wet?", "It rains.", "closed"),
        (OPENED, "<think>\nWet?\n</think>\n\nIt rains.", "stop", "Wet?", "It rains.", "closed"),
        (OPENED, "\n</think>\n\nIt rains.", "stop", "", "It rains.", "empty"),
        (OPENED, "Wet? Let me", "length", "Wet? Let me", "", "cut_off"),
        (OPENED, "It rains.", "stop", "It rains.", "", "unclosed"),
        (OPENED, "", "stop", "", "", "unclosed"),
        (KNOWN["think"], "It rains.", "stop", None, "It rains.", "none"),
        (KNOWN["think"], "Wet?</think>It rains.", "stop", "Wet?", "It rains.", "closed"),
        (KNOWN["think"], "<think>Wet?", "length", "Wet?", "", "cut_off"),
        (
            KNOWN["think"],
            "Write <think>a</think>.",
            "stop",
            None,
            "Write <think>a</think>.",
            "none",
        ),
    ],
)
def test_states(
    marks: Marks, text: str, reason: str, thoughts: str | None, response: str, state: str
) -> None:
    raw = None if thoughts is None else text
    assert split_one(text, marks, reason) == (thoughts, response, state, raw)


@pytest.mark.parametrize("name", KNOWN)
def test_every_format_at_the_start(name: str) -> None:
    marks = KNOWN[name]
    for close in marks.close:
        text = f"{marks.open}\nWet?\n{close}\n\nIt rains."
        split = split_thoughts(make_results([text]), ANY)
        assert split.select("thoughts", "text", "state").row(0) == ("Wet?", "It rains.", "closed")


def test_harmony_without_thoughts_loses_its_channel_and_a_call_keeps_it() -> None:
    harmony = replace(KNOWN["harmony"], opens=False)
    bare = "<|channel|>final<|message|>It rains."
    assert split_one(bare, harmony) == (None, "It rains.", "none", bare)
    call = " to=functions.f<|channel|>commentary json<|message|>{}<|call|>"
    text = f"<|channel|>analysis<|message|>Wet?<|end|><|start|>assistant{call}"
    assert split_one(text, harmony) == ("Wet?", call.lstrip(), "closed", text)


def test_a_server_s_thoughts_are_not_cut_again() -> None:
    rows = split_thoughts(
        make_results(
            ["No.", "", "", "", "<think>x</think>y", None],
            thoughts=["Wet?", "Wet?", "Wet?", "Wet?", "Wet?", None],
            finish_reason=["stop", "length", "stop", "stop", "stop", None],
            tool_calls=[None, None, None, [{"id": None, "name": "f", "arguments": "{}"}]]
            + [None] * 2,
            n_thought_tokens=[1, 1, 1, 1, 1, None],
        ),
        [THINK],
    )
    states = ["closed", "cut_off", "unclosed", "closed", "closed", None]
    assert rows["state"].to_list() == states
    assert rows["raw_text"].null_count() == 6
    assert rows["text"].to_list() == ["No.", "", "", "", "<think>x</think>y", None]


def test_without_formats_nothing_changes() -> None:
    given_rows = make_results(["<think>a</think>b", "c", None])
    rows = split_thoughts(given_rows, [])
    assert rows.select(given_rows.columns).equals(given_rows)
    assert rows["state"].to_list() == ["none", "none", None]
    assert rows["raw_text"].null_count() == 3


def test_a_closing_mark_is_found_whatever_stands_beside_it_in_the_frame() -> None:
    texts = ["plain", "<think>a</think>b", "[THINK]c[/THINK]d", "plain too", "<think>e"]
    rows = split_thoughts(make_results(texts), ANY)
    assert rows["thoughts"].to_list() == [None, "a", "c", None, "e"]
    assert rows["text"].to_list() == ["plain", "b", "d", "plain too", ""]


pieces = st.sampled_from(
    [mark for marks in KNOWN.values() for mark in marks.list_texts() if mark] + [" ", "\n", "", "é"]
)
texts = st.lists(st.one_of(pieces, st.text(max_size=8)), max_size=8).map("".join)


@given(st.lists(texts, max_size=6), st.sampled_from(list(KNOWN)), OPENINGS)
def test_parts_join_to_the_text(wrote: list[str], name: str, opens: bool | None) -> None:
    rows = pl.DataFrame({"row": range(len(wrote)), "text": pl.Series(wrote, dtype=pl.String)})
    cut = cut_texts(rows, [replace(KNOWN[name], opens=opens)])
    joined = cut.select("row", text=pl.concat_str(PARTS, ignore_nulls=True))
    assert joined["text"].to_list() == [wrote[row] for row in joined["row"]]
    if opens:
        assert cut.height == len(wrote)


@given(st.lists(texts, max_size=6), st.sampled_from(list(KNOWN)), OPENINGS)
def test_any_text_has_a_state_and_keeps_what_the_model_wrote(
    wrote: list[str], name: str, opens: bool | None
) -> None:
    marks = replace(KNOWN[name], opens=opens)
    given_rows = make_results(wrote)
    rows = split_thoughts(given_rows, [marks])
    assert rows["key"].equals(given_rows["key"])
    assert rows.select(pl.coalesce("raw_text", "text")).to_series().to_list() == wrote
    assert set(rows["state"]) <= set(STATES)
    for row in rows.iter_rows(named=True):
        assert (row["state"] == "none") == (row["thoughts"] is None)
        if row["state"] in ("cut_off", "unclosed"):
            assert row["text"] == ""
        if row["state"] in ("closed", "empty"):
            assert not any(mark in row["text"] for mark in (marks.open, *marks.close))


WORDS = st.text("ab<>|/[] \n").map(str.strip)


@given(WORDS, WORDS, st.sampled_from(list(KNOWN)))
def test_what_stands_between_marks_comes_out(thoughts: str, response: str, name: str) -> None:
    marks = replace(KNOWN[name], opens=False)
    split = split_one(f"{marks.open}\n{thoughts}\n{marks.close[0]}\n{response}", marks)
    assert split[:3] == (thoughts, response, "closed" if thoughts else "empty")


def test_marks_of_templates() -> None:
    assert find_marks("{{ '<think>\\n' }}") == KNOWN["think"]
    assert find_marks("{{ messages }}") is None
    assert KNOWN["think"].with_prompt("<|im_start|>assistant\n<think>\n").opens is True
    assert KNOWN["think"].with_prompt("<think>\n\n</think>\n\n").opens is False


def test_faults_are_states() -> None:
    assert set(FAULTS) < set(STATES)
