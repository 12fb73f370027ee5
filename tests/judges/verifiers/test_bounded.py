"""Ground truths that would hang or end the run: their rows end as Unscored, and no other does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from judges.deeds import do
from judges.panels import asking, build, candidates
from judges.verifying import rewards

from prefdata.errors import AbortError
from prefdata.judges.base import Candidates
from prefdata.judges.checking.bounded import check_rows
from prefdata.judges.checking.fences import find_json_blocks

EVIL = "a" * 40 + "!"
SPINS = {"type": "string", "pattern": "^(a+)+$"}


def test_a_row_that_ends_its_process_takes_no_other_with_it() -> None:
    rows = [(deed, deed) for deed in ("a", "spin", "b", "exit", "c", "raise", "print")]
    found = check_rows(do, rows, 1)
    assert [reward for reward, _, _ in found] == [0.5, None, 0.5, None, 0.5, None, 0.5]
    assert [reason for _, reason, _ in found if reason] == [
        "check_failed: out of time: 1 s of CPU; see its setting seconds",
        "check_failed: it crashes",
        "check_failed: RuntimeError",
    ]


def test_a_check_that_can_not_be_imported_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(do, "__module__", "no_such_module_of_checks")
    with pytest.raises(AbortError, match="no_such_module_of_checks"):
        check_rows(do, [("a", "b")], 1)


@pytest.mark.parametrize(
    ("kind", "ground_truth", "response", "reason"),
    [
        ("json_schema", SPINS, f'"{EVIL}"', "check_failed: out of time: 1 s of CPU"),
        ("json_schema", {"$schema": 5}, "{}", "bad_schema: "),
        ("json_schema", {"$schema": ["a"]}, "{}", "bad_schema: "),
        ("json_schema", {"if": {"$ref": "#"}}, "{}", "bad_schema: "),
        ("json_schema", {"$ref": "#"}, "{}", "bad_schema: "),
        ("json_schema", {"$ref": 5}, "{}", "bad_schema: "),
        ("json_schema", {"pattern": "("}, '"a"', "bad_schema: "),
        ("regex_match", "(?:[ab]{1,60}){60}[x-z]", "ab" * 200_000, "check_failed: out of time"),
        ("regex_match", "(a{1000}){1000}", "a", "bad_pattern: "),
        ("constraints", {"min_chars": 2**63 - 1}, "a", "bad_constraints: "),
        ("constraints", {"max_words": 2**70}, "a", "bad_constraints: "),
        ("constraints", {"min_chars": 1e300}, "a", "bad_constraints: "),
        ("constraints", {"keywords": ["é" * 500_000]}, "a", "check_failed: "),
    ],
)
def test_a_hostile_ground_truth_is_unscored(
    kind: str, ground_truth: Any, response: str, reason: str
) -> None:
    text = ground_truth if isinstance(ground_truth, str) else json.dumps(ground_truth)
    settings: dict[str, Any] = {} if kind == "constraints" else {"seconds": 1}
    ((reward, said),) = rewards(kind, [response], text, **settings).values()
    assert reward is None
    assert said.startswith(reason)


def test_a_files_pattern_is_ended_too(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_bytes(orjson.dumps(SPINS))
    file = str(tmp_path / "schema.json")
    found = rewards("json_schema", [f'"{EVIL}"', '"aa"'], file=file, seconds=1)
    assert [reward for reward, _ in found.values()] == [None, 1.0]


@pytest.mark.parametrize(
    ("response", "wanted"), [("[" * 900 + "]" * 900, 0.0), ("[" * 9 + "]" * 9, 1.0)]
)
def test_a_deep_response_is_the_responses_fault(response: str, wanted: float) -> None:
    tree = '{"type": "array", "items": {"$ref": "#"}}'
    assert [r for r, _ in rewards("json_schema", [response], tree).values()] == [wanted]


def test_only_the_rows_at_fault_are_unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = build("exact_match")
    whole = type(judge).verify

    def fail_on_bad(self: Any, responses: pl.DataFrame) -> pl.DataFrame:
        if responses["ground_truth"].str.contains("bad").any():
            raise OverflowError("as polars does")
        return whole(self, responses)

    monkeypatch.setattr(type(judge), "verify", fail_on_bad)
    prompts = {f"What is {n}?": ["good", f"bad{n}"] for n in range(9)}
    given = candidates(prompts)
    names = given.prompts["messages"].list.first().struct.field("content")
    truths = pl.Series(["bad" if name == "What is 3?" else "good" for name in names])
    given = Candidates(
        given.prompts.with_columns(ground_truth=truths), given.responses, given.comparisons
    )
    found = judge.judge(given, asking()).join(
        given.prompts.select("prompt_id", "ground_truth"), on="prompt_id"
    )
    bad = pl.col("ground_truth") == "bad"
    assert found.filter(bad)["unscored"].to_list() == [
        "check_failed: OverflowError by the ground truth 'bad': as polars does"
    ]
    assert found.filter(~bad)["unscored"].null_count() == 8


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ('```json\n{"a": 1}\n```', ['{"a": 1}']),
        ("so: ```\n1  \n  ``` and ```JSON \n2```", ["1  ", "2"]),
        ("````json\n1\n````", ["1"]),
        ("```python\n1\n```", []),
        ("```\n1", []),
        ("```\n```", [""]),
    ],
)
def test_fenced_blocks(text: str, blocks: list[str]) -> None:
    assert find_json_blocks(text) == blocks


def test_fences_are_found_in_linear_time() -> None:
    for text in ("```\n" + " " * 300_000, "``` " + " " * 300_000, "``` x" * 100_000):
        before = time.process_time()
        assert find_json_blocks(text) == []
        # Quadratic time would be minutes.
        assert time.process_time() - before < 5
