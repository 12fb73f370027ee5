"""What each consumer makes of the forms in which preference data is passed on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.consumers.base import Reading
from prefdata.consumers.forms import Forms, describe_form
from prefdata.consumers.registry import CONSUMERS

Row = dict[str, Any]


def say(role: str, content: str, **more: Any) -> Row:
    return {"role": role, "content": content, **more}


ASK, NO, YES = say("user", "Is it dry?"), say("assistant", "No."), say("assistant", "Yes.")
BEFORE = [say("user", "Hi."), say("assistant", "Hello.")]
SHARED = "\n\nHuman: Is it dry?\n\nAssistant:"
FORMS: dict[str, Row] = {
    "explicit": {"prompt": [ASK], "chosen": [NO], "rejected": [YES]},
    "implicit": {"chosen": [ASK, NO], "rejected": [ASK, YES]},
    "implicit long": {"chosen": [*BEFORE, ASK, NO], "rejected": [*BEFORE, ASK, YES]},
    "repeated": {"prompt": [ASK], "chosen": [ASK, NO], "rejected": [ASK, YES]},
    "ultrafeedback": {"prompt": "Is it dry?", "chosen": [ASK, NO], "rejected": [ASK, YES]},
    "texts": {"prompt": "Is it dry?", "chosen": "No.", "rejected": "Yes."},
    "hh": {"chosen": f"{SHARED} No.", "rejected": f"{SHARED} Yes."},
    "question": {"question": "Is it dry?", "chosen": "No.", "rejected": "Yes."},
    "one message": {"conversations": [ASK], "chosen": NO, "rejected": YES},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "Is it dry?"}],
        "chosen": {"from": "gpt", "value": "No."},
        "rejected": {"from": "gpt", "value": "Yes."},
    },
    "unpaired": {"prompt": [ASK], "completion": [NO], "label": True},
    "swift": {"messages": [ASK, NO], "rejected_response": "Yes."},
}

WHOLE = {"implicit", "implicit long"}
PAIRED = {"explicit", "repeated", "texts", "hh", "question", *WHOLE}
TAKES: dict[str, set[str]] = {
    "trl_dpo": PAIRED,
    "trl_reward": PAIRED,
    "trl_kto": {*PAIRED, "unpaired"},
    "trl_orpo": {*PAIRED, "ultrafeedback"},
    "trl_sft": {"unpaired", "swift"},
    "trl_tpo": set(),
    "trl_grpo": {"explicit", "repeated", "ultrafeedback", "texts", "unpaired"},
    "axolotl": {"explicit", "repeated", "ultrafeedback", "texts", *WHOLE},
    "axolotl_ultra": {"repeated", "ultrafeedback", *WHOLE},
    "axolotl_kto": set(),
    "axolotl_reward": set(),
    "llama_factory": {"texts", "question", "one message", "sharegpt"},
    "llama_factory_kto": set(),
    "ms_swift": {"swift"},
    "ms_swift_kto": set(),
    "openrlhf": {*PAIRED, "ultrafeedback"},
    "nemo_rl": set(),
    "nemo_rl_binary": {"explicit", "repeated", "ultrafeedback", "texts"},
    "open_instruct": {"explicit", "repeated", "ultrafeedback", *WHOLE},
    "verl": set(),
    "openai": set(),
    "together": set(),
    "gemini": set(),
}


def read(kind: str, row: Row) -> Reading:
    part = CONSUMERS.parse({"kind": kind})
    return part.read({name: row[name] for name in part.reads if name in row})


def list_effects(kind: str, row: Row) -> list[str]:
    return [problem.effect for problem in read(kind, row).problems]


@pytest.mark.parametrize("kind", CONSUMERS.parts)
def test_a_consumer_takes_these_forms_and_says_why_not_the_others(kind: str) -> None:
    taken = {name for name, row in FORMS.items() if read(kind, row).taken_as}
    assert taken == TAKES[kind]
    for name, row in FORMS.items():
        reading = read(kind, row)
        assert reading.taken_as or reading.problems, name
        for problem in reading.problems:
            assert not problem.what.endswith(".")
            assert problem.remedy.endswith(".")


@pytest.mark.parametrize(
    ("kind", "form", "effects"),
    [
        ("trl_dpo", "repeated", ["misreads"]),
        ("trl_dpo", "ultrafeedback", ["crashes"]),
        ("llama_factory", "explicit", ["drops"]),
        ("nemo_rl_binary", "explicit", ["misreads"]),
        ("open_instruct", "explicit", ["misreads"]),
        ("axolotl_ultra", "implicit long", ["cuts"]),
        ("axolotl_ultra", "explicit", ["refuses"]),
        ("axolotl", "repeated", []),
    ],
)
def test_what_goes_wrong_with_a_form(kind: str, form: str, effects: list[str]) -> None:
    assert list_effects(kind, FORMS[form]) == effects


def test_axolotls_ultra_reads_the_first_two_messages_of_each_side() -> None:
    (problem,) = read("axolotl_ultra", FORMS["implicit long"]).problems
    assert (problem.lost, problem.turns) == (4, 8)
    told = [say("system", "Be brief."), ASK, NO]
    assert list_effects("axolotl_ultra", {"chosen": told, "rejected": told}) == ["misreads", "cuts"]


def test_axolotl_takes_the_last_message_of_a_response() -> None:
    row = {"prompt": [ASK], "chosen": [NO, ASK, NO], "rejected": [YES]}
    (problem,) = read("axolotl", row).problems
    assert (problem.effect, problem.lost, problem.turns) == ("cuts", 2, 4)


@pytest.mark.parametrize(
    ("row", "effects"),
    [
        ({"margin": 0.3}, ["reads"]),
        ({"margin": None}, ["crashes"]),
        ({"margin": "much"}, ["crashes"]),
        ({}, []),
    ],
)
def test_a_margin_is_read_by_the_reward_trainer(row: Row, effects: list[str]) -> None:
    assert list_effects("trl_reward", {**FORMS["explicit"], **row}) == effects
    assert list_effects("trl_dpo", {**FORMS["explicit"], **row}) == []


@pytest.mark.parametrize("kind", ["trl_dpo", "trl_reward", "trl_kto", "trl_orpo"])
def test_a_prompt_in_a_column_that_trl_does_not_know_is_missed(kind: str) -> None:
    row = {"question": "Is it dry?", "chosen": "No.", "rejected": "Yes."}
    (problem,) = read(kind, row).problems
    assert problem.effect == "misreads"
    assert "the column question is not read" in problem.what
    assert list_effects(kind, {**row, "prompt": "Is it dry?"}) == []


def test_columns_of_another_meaning_are_found() -> None:
    pair = FORMS["explicit"]
    assert list_effects("trl_kto", {**pair, "label": True}) == ["misreads"]
    assert list_effects("trl_orpo", {**pair, "messages": [ASK, NO]}) == ["crashes"]
    assert list_effects("trl_dpo", {**pair, "messages": "Is it dry?"}) == ["crashes"]
    null = {**pair, "chosen": [say("assistant", "No.", tool_calls=None)]}
    assert list_effects("trl_dpo", null) == ["misreads"]
    assert list_effects("ms_swift", {**FORMS["swift"], "rejected_response": "No."}) == ["drops"]
    whole = {"messages": FORMS["swift"]["messages"], "tools": "[{}]"}
    whole["rejected_messages"] = [*whole["messages"][:-1], {"role": "assistant", "content": "Or."}]
    assert list_effects("ms_swift", whole) == ["misreads"]
    assert list_effects("ms_swift", {**whole, "rejected_tools": "[{}]"}) == []
    tied = {"context": [ASK], "completions": [{"rank": 1, "completion": [NO]}] * 2}
    assert list_effects("nemo_rl", tied) == ["crashes"]
    empty = {"conversations": [ASK, say("assistant", "")], "kto_tag": True}
    assert list_effects("llama_factory_kto", empty) == ["misreads"]


TEXTS = st.sampled_from(["", " ", "Is it dry?", "No.", "Yes.", f"{SHARED} No.", f"{SHARED} Yes."])
ROLES = st.sampled_from(["system", "user", "assistant", "human", None, 1])
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": ROLES, "from": ROLES, "content": st.one_of(TEXTS, st.none(), st.just([1])),
        "value": TEXTS, "tool_calls": st.none(), "rank": st.integers(0, 1), "score": st.floats(),
    },
)  # fmt: skip
SIMPLE = st.one_of(
    st.none(), st.booleans(), st.floats(), TEXTS, MESSAGES, st.lists(MESSAGES, max_size=3)
)
VALUES = st.one_of(
    SIMPLE,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["messages", "completion", "rank", "tools"]), SIMPLE),
    st.lists(st.dictionaries(st.sampled_from(["completion", "rank", "score"]), SIMPLE), max_size=2),
)
COLUMNS = sorted({name for part in CONSUMERS.parts.values() for name in part.reads})
TURNS = st.lists(MESSAGES, min_size=1, max_size=3)
ROWS = st.one_of(
    st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=4),
    st.fixed_dictionaries(
        {"chosen": TURNS, "rejected": TURNS},
        optional=dict.fromkeys(("prompt", "messages", "conversations"), VALUES),
    ),
)


@settings(max_examples=20)
@given(st.lists(st.one_of(ROWS, st.sampled_from(list(FORMS.values()))), min_size=2, max_size=6))
def test_rows_of_one_form_have_the_same_fate(rows: list[Row]) -> None:
    """And no row, whatever it holds, is an error."""
    for kind in CONSUMERS.parts:
        fates: dict[Any, Reading] = {}
        for row in rows:
            reading = read(kind, row)
            form = describe_form(row)
            assert str(fates.setdefault(form, reading)) == str(reading)


def test_forms_count_their_rows_and_name_the_first() -> None:
    forms = Forms(COLUMNS)
    for number in range(7):
        other = {"prompt": f"{number}?", "chosen": f"no {number}", "rejected": "yes", "id": number}
        forms.add(other, f"row {number}")
    forms.add({**FORMS["texts"], "chosen": "", "id": "x"}, "row 7")
    whole, blank = forms.list_forms()
    assert (whole.count, whole.places) == (7, [f"row {n}" for n in range(5)])
    assert (blank.count, blank.places) == (1, ["row 7"])
    assert "id" in whole.columns - set(whole.row)
