"""Thoughts in a flow: taken apart after the memo, stored apart, dropped where they are at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.config import Params
from prefdata.engines.base import LoglikelihoodSettings
from prefdata.inference.completions import ask_completions
from prefdata.judges.asking.thoughts import show_thoughts
from prefdata.judges.base import Candidates

WROTE = {
    "Question 0:": "<think>\nA river?\n</think>\n\nFor boats.",
    "Question 1:": "<think>\nAn engine goes on and on",
    "Question 2:": "<think>a</think>b<think>c</think>d",
    "Question 3:": "<think></think>For counting.",
}


def make_params(folder: Path, thoughts: Any = "think", **changes: Any) -> Params:
    policy = {
        "engine": "scripted",
        "model": "policy",
        "options": {"responses": WROTE},
        "thoughts": thoughts,
    }
    return flows.params(folder, 5, models={"policy": policy}, generate={"n": 1}, **changes)


def test_thoughts_are_stored_apart_and_faults_are_dropped(tmp_path: Path) -> None:
    counted = flows.run(make_params(tmp_path), "ingest", "generate")["generate"]
    responses = flows.read(tmp_path, "responses").sort("text")
    found = responses.filter(pl.col("raw_text").is_not_null())
    assert found.select("text", "thoughts", "raw_text").rows() == [
        ("For boats.", "A river?", WROTE["Question 0:"]),
        ("For counting.", "", WROTE["Question 3:"]),
    ]
    assert responses["thoughts"].null_count() == 1
    dropped = flows.read(tmp_path, "dropped/generate").sort("reason")
    assert dropped["reason"].to_list() == ["thoughts_reopened", "thoughts_unclosed"]
    assert counted.dropped == {"thoughts_reopened": 1, "thoughts_unclosed": 1}
    assert "models.NAME.thoughts" in dropped["detail"][0]
    kept = [orjson.loads(record)["raw_text"] for record in dropped["record"]]
    assert kept == [WROTE["Question 2:"], WROTE["Question 1:"]]


def test_other_marks_ask_nothing_again(tmp_path: Path) -> None:
    flows.run(make_params(tmp_path, "none"), "ingest", "generate")
    assert flows.read(tmp_path, "responses")["thoughts"].null_count() == 5
    usage = flows.run(make_params(tmp_path), "generate")["generate"].usage["generate policy"]
    assert (usage.requests, usage.cached) == (5, 5)
    assert flows.read(tmp_path, "responses").height == 3


class Asked:
    """Stands for `Inference`: keeps what is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []

    def ask(self, model: str, operation: str, settings: Any, rows: pl.DataFrame) -> pl.DataFrame:
        thoughts = rows["thoughts"].to_list() if "thoughts" in rows.columns else []
        self.calls.append((settings.part, thoughts))
        return rows.select(key=pl.col("completion"), error=pl.lit(None, dtype=pl.String))


@pytest.mark.parametrize(
    ("completion", "calls"),
    [
        ("all", [("all", [None, "x", None])]),
        ("without_thoughts", [("all", [None, None, None])]),
        ("thoughts", [("thoughts", [None, "x", None])]),
        ("response", [("all", [None, None]), ("response", ["x"])]),
    ],
)
def test_what_is_asked_of_responses(completion: Any, calls: Any) -> None:
    rows = pl.DataFrame(
        {
            "prompt_id": ["p"] * 3,
            "messages": [[{"role": "user", "content": "?"}]] * 3,
            "finished": [True] * 3,
            "text": ["a", "b", "c"],
            "thoughts": [None, "x", None],
        }
    )
    asked = Asked()
    settings = LoglikelihoodSettings()
    found = ask_completions(asked, "policy", "loglikelihood", settings, rows, completion)
    assert asked.calls == calls
    assert found["key"].to_list() == ["a", "b", "c"]
    assert settings.part == "all"


def show(shows: str) -> tuple[Any, pl.DataFrame]:
    """The judge's candidates and judgments where one of two responses has thoughts."""
    responses = pl.DataFrame(
        {
            "prompt_id": ["p"] * 3,
            "response_id": ["1", "2", "3"],
            "text": ["No.", "Yes. [End of thoughts]", "So."],
            "finished": [True] * 3,
            "thoughts": ["It [Thoughts] rains.", None, "Dry."],
        }
    )
    comparisons = pl.DataFrame(
        {
            "prompt_id": ["p"] * 3,
            "response_a": ["1", "1", "2"],
            "response_b": ["2", "3", "3"],
        }
    )
    return show_thoughts(Candidates(pl.DataFrame(), responses, comparisons), shows)


def test_judges_can_see_thoughts_in_a_block_of_their_own() -> None:
    shown, left_out = show("both")
    assert shown.responses["text"].to_list() == [
        "[Thoughts]\nIt (Thoughts) rains.\n[End of thoughts]\n\nNo.",
        "Yes. (End of thoughts)",
        "[Thoughts]\nDry.\n[End of thoughts]\n\nSo.",
    ]
    assert not left_out.height


def test_a_judge_of_thoughts_leaves_out_what_has_none() -> None:
    shown, left_out = show("thoughts")
    assert shown.responses["text"].to_list() == ["It [Thoughts] rains.", "Dry."]
    assert shown.comparisons["response_b"].to_list() == ["3"]
    assert left_out.height == 2


def test_a_judge_of_thoughts_says_so_where_there_are_none(tmp_path: Path) -> None:
    judge = {"kind": "pairwise", "model": "policy", "shows": "thoughts"}
    params = make_params(tmp_path, judge={"judges": [judge]})
    params = params.model_copy(update={"generate": params.generate.model_copy(update={"n": 2})})
    flows.run(params, "ingest", "generate", "judge")
    judgments = flows.read(tmp_path, "judgments")
    assert judgments.height > 0
    assert judgments["unscored"].drop_nulls().str.starts_with("no_thoughts: ").all()
