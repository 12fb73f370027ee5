"""What must hold of every judge that checks responses without asking a model."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judges.panels import asking, build, by_text, candidates

from prefdata.judges.base import Candidates, Judge
from prefdata.judges.checking.verifier import Verifier
from prefdata.judges.registry import JUDGES
from prefdata.messages.columns import CALLS
from prefdata.records import Judgment
from prefdata.records.base import polars_schema

SETTINGS: dict[str, dict[str, Any]] = {
    "unit_tests": {"seconds": 2, "require_no_network": False, "allow_root": True}
}
"""What a kind is built with, where its defaults need more than any system has."""
GROUND_TRUTHS = {
    "constraints": '{"min_words": 4}',
    "exact_match": "Paris, of course",
    "json_schema": '{"type": "object"}',
    "math_answer": "#### 18",
    "regex_match": "[0-9]{3}x",
    "tool_calls": '{"name": "f", "arguments": {"n": 1}}',
    "unit_tests": "assert double(2) == 4",
}
GOOD = {
    "constraints": "one two three four",
    "exact_match": "paris of course!",
    "json_schema": '```json\n{"a": 1}\n```',
    "math_answer": "#### 18",
    "regex_match": "it is 123x",
    "tool_calls": 'Call f({"n":1})',
    "unit_tests": "def double(x):\n    return 2 * x",
}
KINDS = [kind for kind, judge in JUDGES.parts.items() if issubclass(judge, Verifier)]

properties = settings(
    # unit_tests starts a process for every response.
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
texts = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3, unique=True)


@pytest.fixture(params=KINDS)
def judge(request: pytest.FixtureRequest) -> Judge:
    return build(request.param, **SETTINGS.get(request.param, {}))


def panel(judge: Judge, responses: list[str], salt: int = 0) -> Candidates:
    """A question with a ground truth and one without, each with these responses and a good one."""
    good = GOOD[judge.kind]
    of = list(dict.fromkeys([*responses, good, "no"]))
    plain = candidates({"Known?": of, "Unknown?": of}, salt)
    known = pl.col("messages").list.first().struct.field("content") == "Known?"
    prompts = plain.prompts.with_columns(
        ground_truth=pl.when(known).then(pl.lit(GROUND_TRUTHS.get(judge.kind)))
    )
    called = [{"id": None, "name": "f", "arguments": '{"n":1}'}]
    calls = pl.when(pl.col("text") == GOOD["tool_calls"]).then(
        pl.lit(pl.Series([called], dtype=CALLS))
    )
    responses_ = plain.responses.with_columns(tool_calls=calls)
    return Candidates(prompts, responses_, plain.comparisons)


@properties
@given(texts, st.integers(1, 1000))
def test_neither_ids_nor_the_order_of_candidates_change_a_verdict(
    judge: Judge, responses: list[str], salt: int
) -> None:
    one, other = panel(judge, responses), panel(judge, responses, salt)
    wanted = by_text(judge.judge(one, asking()), one)
    found = by_text(judge.judge(other, asking()), other)
    assert found == wanted
    good = GOOD[judge.kind]
    assert all(
        p is None or p >= 0.5 for (q, a, _), p in found.items() if a == good and q == "Known?"
    )
    assert found["Known?", good, "no"] is not None
    assert found["Known?", good, "no"] > 0.5


@properties
@given(texts)
def test_a_judgment_of_every_comparison_with_a_verdict_or_a_reason(
    judge: Judge, responses: list[str]
) -> None:
    given_ = panel(judge, responses)
    found = judge.judge_all(given_, asking())
    assert found.schema == polars_schema(Judgment)
    ids = ["prompt_id", "response_a", "response_b"]
    assert found.select(ids).sort(ids).equals(given_.comparisons.select(ids).sort(ids))
    for row in found.to_dicts():
        Judgment(**row)
        assert (row["preference"] is None) != (row["unscored"] is None)


def test_a_prompt_without_a_ground_truth_is_unscored_where_one_is_needed(judge: Judge) -> None:
    assert isinstance(judge, Verifier)
    given_ = panel(judge, ["maybe"])
    found = judge.judge(given_, asking()).join(given_.prompts, on="prompt_id")
    without = found.filter(pl.col("ground_truth").is_null())
    assert without.height == 3
    assert (without["preference"].null_count() == 3) is judge.by_ground_truth
    if judge.by_ground_truth:
        assert without["unscored"].str.starts_with("no_ground_truth: ").all()


def test_no_comparisons_make_no_judgments(judge: Judge) -> None:
    whole = panel(judge, ["maybe"])
    none = Candidates(whole.prompts.clear(), whole.responses.clear(), whole.comparisons.clear())
    found = judge.judge(none, asking())
    assert found.schema == polars_schema(Judgment)
    assert found.height == 0
