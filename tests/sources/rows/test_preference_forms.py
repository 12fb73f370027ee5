"""Every form of preference rows, and the errors of rows and datasets that are none."""

from __future__ import annotations

from typing import Any

import pytest

from prefdata.errors import DropRecord, SourceError
from prefdata.sources.rows.conversations import Turn
from prefdata.sources.rows.preference_forms.detect import detect_form
from prefdata.sources.rows.preference_forms.row import PreferenceRow
from prefdata.sources.rows.preference_forms.scores import read_margin

USER = {"role": "user", "content": "2 + 2?"}
GOOD = {"role": "assistant", "content": "4"}
BAD = {"role": "assistant", "content": "5"}
ASKED = [Turn("user", "2 + 2?")]
LONG = [USER, GOOD, {"role": "user", "content": "Sure?"}]
LONG_ASKED = [*ASKED, Turn("assistant", "4"), Turn("user", "Sure?")]
SYSTEM = [Turn("system", "Be brief."), *ASKED]
HH = "\n\nHuman: 2 + 2?\n\nAssistant: 4\n\nHuman: Sure?\n\nAssistant:"


def pair(prompt: list[Turn], chosen: str, rejected: str) -> PreferenceRow:
    return PreferenceRow(prompt, Turn("assistant", chosen), Turn("assistant", rejected))


FORMS: dict[str, tuple[dict[str, Any], str, PreferenceRow]] = {
    "explicit, messages": (
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD], "margin": 0.5},
        "prompt (messages), responses as messages",
        pair(ASKED, "4", "5"),
    ),
    "explicit, text": (
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
        "prompt (text), responses as text",
        pair(ASKED, "4", "5"),
    ),
    "messages, responses as text": (
        {"prompt": LONG, "chosen": "4", "rejected": "5"},
        "prompt (messages), responses as text",
        pair(LONG_ASKED, "4", "5"),
    ),
    "ultrafeedback_binarized": (
        {
            "prompt": "2 + 2?",
            "prompt_id": "0",
            "chosen": [USER, GOOD],
            "rejected": [USER, BAD],
            "messages": [USER, GOOD],
            "score_chosen": 8.5,
            "score_rejected": 6,
        },
        "whole conversations, prompt repeated",
        pair(ASKED, "4", "5"),
    ),
    "implicit, messages": (
        {"chosen": [*LONG, GOOD], "rejected": [*LONG, BAD]},
        "whole conversations",
        pair(LONG_ASKED, "4", "5"),
    ),
    "implicit, equal responses": (
        {"chosen": [USER, GOOD], "rejected": [USER, GOOD]},
        "whole conversations",
        pair(ASKED, "4", "4"),
    ),
    "HH": (
        {"chosen": f"{HH} Yes.", "rejected": f"{HH} No."},
        "HH transcripts",
        pair(LONG_ASKED, "Yes.", "No."),
    ),
    "axolotl, one message a side": (
        {"messages": LONG, "chosen": GOOD, "rejected": BAD},
        "messages (messages), responses as a message",
        pair(LONG_ASKED, "4", "5"),
    ),
    "LLaMA-Factory, ShareGPT": (
        {
            "conversations": [{"from": "human", "value": "2 + 2?"}],
            "chosen": {"from": "gpt", "value": "4"},
            "rejected": {"from": "gpt", "value": "5"},
        },
        "conversations (messages), responses as a message",
        pair(ASKED, "4", "5"),
    ),
    "LLaMA-Factory, Alpaca": (
        {
            "instruction": "Add.",
            "input": "2 + 2",
            "history": [["Hi", "Hello"]],
            "system": "Be brief.",
            "chosen": "4",
            "rejected": "5",
        },
        "instruction (text), responses as text",
        pair(
            [
                Turn("system", "Be brief."),
                Turn("user", "Hi"),
                Turn("assistant", "Hello"),
                Turn("user", "Add.\n2 + 2"),
            ],
            "4",
            "5",
        ),
    ),
    "axolotl RM": (
        {"system": "Be brief.", "input": "2 + 2?", "chosen": "4", "rejected": "5"},
        "input (text), responses as text",
        pair(SYSTEM, "4", "5"),
    ),
    "orca": (
        {"system": "", "question": "2 + 2?", "chosen": "4", "rejected": "5"},
        "question (text), responses as text",
        pair(ASKED, "4", "5"),
    ),
    "rationales": (
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "rationale": "Arithmetic."},
        "prompt (text), responses as text",
        pair(ASKED, "4", "5"),
    ),
    "OpenAI": (
        {
            "input": {"messages": [USER], "tools": []},
            "preferred_output": [GOOD],
            "non_preferred_output": [BAD],
        },
        "OpenAI",
        pair(ASKED, "4", "5"),
    ),
    "AlpacaFarm": (
        {"instruction": "Add.", "input": "", "output_1": "5", "output_2": "4", "preference": 2},
        "AlpacaFarm",
        pair([Turn("user", "Add.")], "4", "5"),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_row_of_each_form(name: str) -> None:
    row, called, wanted = FORMS[name]
    form = detect_form(row, "d", {})
    assert form.name == called
    assert form.read(row) == wanted


def test_a_margin_is_the_datasets_own() -> None:
    named = ("explicit, messages", "ultrafeedback_binarized", "explicit, text")
    assert [read_margin(FORMS[name][0]) for name in named] == [0.5, 2.5, None]


def test_columns_can_be_named() -> None:
    row = {"q": "2 + 2?", "good": "4", "bad": "5", "chosen": 1}
    named = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    assert detect_form(row, "d", named).read(row) == pair(ASKED, "4", "5")
    with pytest.raises(SourceError, match="no column 'p' for prompt; it has: q, good, bad"):
        detect_form(row, "d", {"prompt": "p"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "Hi"}, "no column of chosen responses; it has: text"),
        (
            {"prompt": "Hi", "chosen": "Ho"},
            "no column of rejected responses; it has: prompt, chosen",
        ),
        ({"prompt": "Hi", "responses": [], "scores": []}, "no column of chosen responses"),
        ({"chosen": "4", "rejected": "5"}, "'chosen' is text and there is no prompt beside it"),
        ([1, 2], "its rows are list, expected objects"),
    ],
)
def test_a_dataset_that_is_no_preference_dataset_is_told_its_columns(row: Any, said: str) -> None:
    with pytest.raises(SourceError) as raised:
        detect_form(row, "pairs.jsonl", {})
    assert said in str(raised.value)
    assert str(raised.value).startswith("pairs.jsonl: ")
    if isinstance(row, dict):
        assert "--columns" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("AlpacaFarm", {"preference": 1.5}, "tie"),
        ("AlpacaFarm", {"preference": None}, "missing_field"),
        ("AlpacaFarm", {"preference": float("nan")}, "missing_field"),
        ("explicit, text", {"chosen": None}, "missing_field"),
        ("explicit, text", {"chosen": "  "}, "empty_response"),
        ("explicit, text", {"chosen": "\ud800"}, "invalid_unicode"),
        ("explicit, text", {"prompt": ""}, "empty_message"),
        ("explicit, text", {"chosen": 4, "rejected": 5}, "wrong_type"),
        ("explicit, messages", {"chosen": [GOOD, USER, GOOD]}, "several_turns"),
        ("explicit, messages", {"prompt": [GOOD]}, "roles_out_of_turn"),
        ("explicit, messages", {"prompt": [{"role": "judge", "content": "x"}]}, "unknown_role"),
        ("implicit, messages", {"rejected": [{**USER, "content": "3?"}, BAD]}, "several_turns"),
        ("HH", {"chosen": "no transcript", "rejected": "neither"}, "not_a_transcript"),
        ("OpenAI", {"input": "2 + 2?"}, "wrong_type"),
        ("OpenAI", {"preferred_output": None}, "missing_field"),
        ("LLaMA-Factory, Alpaca", {"history": [["Hi"]]}, "wrong_type"),
        ("LLaMA-Factory, Alpaca", {"system": 3}, "wrong_type"),
    ],
)
def test_a_row_that_is_no_pair(name: str, change: dict[str, Any], reason: str) -> None:
    row, _, _ = FORMS[name]
    with pytest.raises(DropRecord) as dropped:
        detect_form(row, "d", {}).read({**row, **change})
    assert dropped.value.reason == reason


START = "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: 2 + 2?"
TRANSCRIPTS = {"chosen": f"{START}\n\nAssistant: 4", "rejected": f"{START}\n\nAssistant: 5"}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "2 + 2?", **TRANSCRIPTS},
        {"prompt": START, **TRANSCRIPTS},
        {"prompt": f"{START}\n\nAssistant:", **TRANSCRIPTS},
        {"prompt": f"{START}\n\nAssistant:", "chosen": " 4", "rejected": " 5"},
        {"prompt": f"{START.strip()}\n\nAssistant:", "chosen": "4", "rejected": "5"},
        {"prompt": "2 + 2?", **{side: text.strip() for side, text in TRANSCRIPTS.items()}},
    ],
)
def test_a_prompt_beside_transcripts_changes_nothing(row: dict[str, Any]) -> None:
    read = detect_form(row, "x.jsonl", {}).read(row)
    assert read == detect_form(TRANSCRIPTS, "x.jsonl", {}).read(TRANSCRIPTS)
    assert [turn.content for turn in read.prompt] == ["Hi", "Hello!", "2 + 2?"]


def test_a_prompt_that_quotes_a_transcript_is_a_prompt() -> None:
    for prompt in (f"What comes next?{START}", "Human: is that a word?"):
        row = {"prompt": prompt, "chosen": " Yes", "rejected": "No"}
        read = detect_form(row, "x.jsonl", {}).read(row)
        assert [turn.content for turn in read.prompt] == [prompt]
        assert read.chosen.content == " Yes"
