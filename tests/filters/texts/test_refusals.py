"""Refusals: what is one and what only sounds like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filters.bucket import build, pairs, run_filter, texts
from labelled import describe_quality, read_docstring, read_labelled

from prefdata.errors import ConfigError
from prefdata.filters.texts.refusals import Refusals

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I cannot provide instructions for that. It is dangerous.",
    "I can’t assist with this request.",
    "As an AI language model, I am not able to have opinions.",
    "Sorry, I won't be able to help you hurt someone.",
    "I must decline to answer.",
    "Unfortunately I am unable to fulfil your request.",
    "I'm not comfortable sharing details about that.",
    "I don't feel comfortable discussing this topic.",
    "Sorry, that's not something I can talk about.",
    "This goes against my programming.",
]
RESPONSES = [
    "Sorry for your loss. Here is how to write the letter.",
    "I can help with that: first, boil the water.",
    "You can't divide by zero.",
    "Bob said: he cannot come. That is why the answer is 4.",
    "I can't believe how simple this is! Add two and two.",
    "An AI can be trained to play chess.",
    "",
]


def decided(responses: list[str], **config: Any) -> list[tuple[str | None, str | None]]:
    """(reason, detail) of pairs whose chosen responses are these; the rejected ones are fine."""
    named = {f"a{n}": text for n, text in enumerate(responses)} | {"z": "Fine."}
    some = pairs(*((f"a{n}", "z", "p") for n in range(len(responses))))
    return run_filter(build("refusals", **config), [(some, texts(named))]).details()


def test_labelled_texts_as_well_as_the_docs_say() -> None:
    rows = read_labelled(Path(__file__).parent / "labelled" / "refusals.jsonl")
    found = decided([row["text"] for row in rows])
    flagged = [reason is not None for reason, _ in found]
    verdicts = zip(flagged, (row["refusal"] for row in rows), strict=True)
    assert describe_quality(verdicts) in read_docstring(Refusals)


@pytest.mark.parametrize("response", REFUSALS)
def test_a_refusal_goes_and_its_words_are_said(response: str) -> None:
    ((reason, detail),) = decided([response])
    assert reason == "refusal_chosen"
    assert detail is not None
    assert detail.removeprefix('refuses: "').removesuffix('"') in response


def test_a_response_stays() -> None:
    assert decided(RESPONSES) == [(None, None)] * len(RESPONSES)


def test_a_refusal_far_from_the_start_is_none() -> None:
    text = "x " * 100 + REFUSALS[0]
    assert decided([text]) == [(None, None)]
    assert decided([text], within=400)[0][0] == "refusal_chosen"


def test_other_subjects_and_other_phrases() -> None:
    responses = {"a": "Yes.", "b": REFUSALS[0], "c": "Das mache ich nicht."}
    some = pairs(("a", "b", "p"), ("b", "a", "p"), ("a", "c", "p"), ("c", "b", "p"))
    step = build("refusals", of=["rejected", "chosen"], phrases=["(?i)mache ich nicht"])
    found = run_filter(step, [(some, texts(responses))]).pairs
    assert found["reason"].to_list() == [
        "refusal_rejected",
        "refusal_chosen",
        "refusal_rejected",
        "refusal_rejected",
    ]
    assert found["detail"][2] == 'refuses: "mache ich nicht"'


@pytest.mark.parametrize(
    ("config", "says"),
    [({"phrases": ["("]}, "no regular expression"), ({"of": []}, "of"), ({"of": ["x"]}, "chosen")],
)
def test_wrong_settings_are_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("refusals", **config)
