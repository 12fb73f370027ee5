"""The rows of the reader: pairs and dropped records, as chosen and rejected, and a sample."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl

from prefdata.lineage.tables import Lineage
from prefdata.records.base import fill_columns, polars_schema
from prefdata.records.dropped import no_dropped
from prefdata.reports.page.pairs import shape_pairs
from prefdata.reports.page.rows import EMPTY, LONGEST, RunRows, cut, make_exported_row
from prefdata.reports.page.sample import EACH, MAX_BYTES, MAX_PAIRS, describe, sample_pairs
from prefdata.tables.catalog import TABLES

PROMPT = "0" * 32


def make_lineage(**tables: list[dict[str, Any]]) -> Lineage:
    frames = {}
    for name, record in TABLES.items():
        rows = pl.DataFrame(tables.get(name, []), infer_schema_length=None)
        frames[name] = (
            fill_columns(rows, record).cast(dict(polars_schema(record)))
            if rows.height
            else pl.DataFrame(schema=polars_schema(record))
        )
    return Lineage(frames, no_dropped())


def tell() -> RunRows:
    """A prompt with two responses, of which the one with the larger id was chosen."""
    message = {"role": "user", "content": "Why?"}
    judgment = {
        "prompt_id": PROMPT,
        "judge": "one",
        "dimension": "helpfulness",
        "response_a": "a",
        "response_b": "b",
        "preference": 0.25,
        "reward_a": 1.0,
        "reward_b": 3.0,
        "forward": 0.4,
        "reverse": 0.1,
        "trace": "[a first]\nThe second.",
    }
    unscored = {**judgment, "judge": "two", "unscored": "unreadable: what?"}
    unscored |= dict.fromkeys(("preference", "reward_a", "reward_b", "forward", "reverse"))
    pair = {"prompt_id": PROMPT, "pair_id": "p", "chosen_id": "b", "rejected_id": "a"}
    return RunRows(
        make_lineage(
            prompts=[{"prompt_id": PROMPT, "messages": [message], "source": "s", "split": "train"}],
            responses=[
                {"prompt_id": PROMPT, "response_id": each, "policy": "p", "text": f"text {each}"}
                for each in "ab"
            ],
            judgments=[judgment, unscored],
            ches=[{**pair, "ches": -3.0, "ches_normalized": -0.5}],
            pairs=[{**pair, "soft_label": 0.75, "strategy": "best_worst"}],
            augmented=[{**pair, "soft_label": 0.75, "margin": 2.0, "rationale": "It says why."}],
        )
    )


def drop(record: Any, origin: str = PROMPT, reason: str = "r") -> dict[str, Any]:
    text = record if isinstance(record, str) else orjson.dumps(record).decode()
    return {
        "stage": "filter",
        "reason": reason,
        "detail": "too much",
        "fault": False,
        "origin": origin,
        "record": text,
    }


def test_judgments_are_turned_to_the_chosen_response() -> None:
    row = tell().make_pair("p")
    assert row.keys() == EMPTY.keys()
    assert [each["text"] for each in row["responses"]] == ["text b", "text a"]
    assert row["a_is"] == "rejected"
    assert (row["margin"], row["ches"], row["ches_normalized"]) == (2.0, -3.0, -0.5)
    assert row["rationales"] == [["Rationale", "It says why."]]
    one, two = row["judgments"]
    assert (one["preference"], one["reward_chosen"], one["reward_rejected"]) == (0.75, 3.0, 1.0)
    # b, the chosen one, was shown first in reverse.
    assert (one["chosen_first"], one["rejected_first"]) == (0.9, 0.6)
    assert (two["preference"], two["unscored"]) == (None, "unreadable: what?")


def test_dropped_records_come_with_what_they_are_of() -> None:
    told = tell()
    pair = told.make_dropped(drop({"pair_id": "p", "chosen_id": "b", "rejected_id": "a"}))
    assert pair["decided"]
    assert pair["dropped"]
    assert pair["margin"] == 2.0
    comparison = told.make_dropped(drop({"response_a": "a", "response_b": "b"}))
    assert not comparison["decided"]
    assert [each["text"] for each in comparison["responses"]] == ["text a", "text b"]
    assert comparison["judgments"][0]["preference"] == 0.25
    response = told.make_dropped(drop({"response_id": "a"}))
    assert [each["text"] for each in response["responses"]] == ["text a"]
    unknown = told.make_dropped(drop({"response_a": "x", "response_b": "y"}))
    assert [each["text"] for each in unknown["responses"]] == ["", ""]
    broken = told.make_dropped(drop('{"prompt": "no end', origin="q.jsonl:7"))
    assert (broken["record"], broken["origin"]) == ('{"prompt": "no end', "q.jsonl:7")
    assert broken["prompt"] == []
    assert all(each.keys() == EMPTY.keys() for each in (pair, comparison, response, broken))


def test_long_texts_are_cut_and_say_so() -> None:
    assert cut("x" * LONGEST) == "x" * LONGEST
    assert cut("x" * (LONGEST + 1)).endswith("… [cut here: 20,001 characters in all]")


def test_an_exported_row_is_a_row() -> None:
    thought = orjson.dumps(
        {
            "role": "assistant",
            "content": "B",
            "reasoning_content": "Hm.",
            "tool_calls": [{"id": "1"}],
        }
    ).decode()
    exported = {
        "pair_id": "p",
        "prompt_id": PROMPT,
        "source": "s",
        "prompt": [{"role": "user", "content": "Why?"}],
        "chosen": [thought],
        "rejected": [{"role": "assistant", "content": "A"}],
        "reward_margin": 0.5,
        "judgments": [{"judge": "one", "preference": 0.9, "spread": None}],
    }
    row = make_exported_row(exported, "train")
    assert row.keys() == EMPTY.keys()
    assert row["responses"][0] == {
        "policy": None,
        "text": "B",
        "thoughts": "Hm.",
        "calls": ['{"id":"1"}'],
    }
    assert row["judgments"][0]["trace"] is None
    assert row["margin"] == 0.5


def make_pairs(count: int) -> pl.DataFrame:
    return shape_pairs(
        pl.DataFrame(
            {
                "pair_id": [f"p{n:05}" for n in range(count)],
                "prompt_id": [f"{n:05}" for n in range(count)],
                "source": ["rare" if n >= count - 2 else "common" for n in range(count)],
                "judges": [["one", "two"] if n % 1000 == 999 else ["one"] for n in range(count)],
                "kept": [True] * count,
            }
        )
    )


def test_the_sample_has_some_of_every_group_whatever_the_order() -> None:
    pairs = make_pairs(MAX_PAIRS + 3000)
    sampled = sample_pairs(pairs)
    again = sample_pairs(pairs.sample(fraction=1, shuffle=True, seed=1))
    assert sampled.equals(again)
    assert sampled["pair_id"].n_unique() == sampled.height
    of = pairs.join(sampled, on="pair_id", how="semi")
    assert of.filter(source="rare").height == 2
    assert of.filter(pl.col("judges").list.contains("two")).height >= min(EACH, 4)
    assert sample_pairs(pairs.head(0)).height == 0


def test_rows_that_do_not_fit_are_left_out_and_counted() -> None:
    text = "x" * (MAX_BYTES // 4)
    rows = [{**EMPTY, "dropped": n == 0, "detail": text} for n in range(5)]
    shown = describe(rows, 4, 1)
    assert len(shown.rows) == 3
    assert [row["dropped"] for row in shown.rows] == [False, False, True]
    assert "2 of 4 pairs of the dataset and all 1 dropped records" in shown.note
    assert describe([], 0, 0).note == "There are no rows."
