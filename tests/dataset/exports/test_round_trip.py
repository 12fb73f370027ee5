"""What a source reads of an export is what went into it, for every export that says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dataset.exports.given import (
    ATTRIBUTES,
    format_bucket,
    make_bucket,
    make_export,
)
from dataset.structured import SIDES, respond
from sources.reading import ingest, list_given

from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.shards import encode_shard
from prefdata.sources.detect import open_dataset_source

KINDS = sorted(EXPORTS.parts)
READ = [kind for kind in KINDS if EXPORTS.parts[kind].one_way is None]


def read_back(
    folder: Path, kind: str, *cases: str, **settings: Any
) -> tuple[list[Any], list[Any], Any]:
    """(the prompts, what was dropped, the exported pairs) by the source that knows the columns of
    the export's file."""
    export, given = make_export(kind, **settings), make_bucket(*cases)
    bucket = replace(given, pairs=number_prompts(given.pairs))
    structured = bool(export.structured and export.list_structure(bucket))
    formatted = format_bucket(export, bucket)
    record = export.structured if structured and export.structured else export.record
    path = folder / f"train.{export.file_format}"
    path.write_bytes(encode_shard(export, record, formatted.rows.drop("split"), kind))
    carried = formatted.find_carried(bucket.pairs["pair_id"])
    pairs = bucket.pairs.filter(bucket.pairs["pair_id"].is_in(carried.implode()))
    return *ingest(open_dataset_source(str(path))), pairs


def number_prompts(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs, each of which asks something else."""
    messages = [
        [
            {**turn, "content": f"{number}. {turn['content']}"} if turn["role"] == "user" else turn
            for turn in turns
        ]
        for number, turns in enumerate(pairs["messages"].to_list())
    ]
    return pairs.with_columns(messages=pl.Series(messages, dtype=pairs.schema["messages"]))


def list_turns(messages: list[dict[str, Any]], thoughts: bool) -> str:
    """What every form holds of messages: no ids of calls, no names of results."""
    return str(
        [
            (
                message["role"],
                message["content"],
                message["thoughts"] if thoughts else None,
                [(call["name"], call["arguments"]) for call in message["tool_calls"] or ()],
            )
            for message in messages
        ]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_export_can_be_read_back_or_says_why_not(kind: str) -> None:
    reason = EXPORTS.parts[kind].one_way
    assert reason is None or (len(reason) > 20 and reason.endswith("."))


@pytest.mark.parametrize("kind", READ)
def test_prompts_responses_tools_and_preferences_come_back(kind: str, tmp_path: Path) -> None:
    # A form with a place for thoughts has no setting that refuses them.
    thoughts = "refuse" not in str(EXPORTS.parts[kind].config_type.model_fields["thoughts"])
    settings = {} if thoughts else {"thoughts": "drop"}
    prompts, dropped, pairs = read_back(tmp_path, kind, **settings)
    assert dropped == []
    expected = {list_turns(pair["messages"], thoughts): pair for pair in pairs.to_dicts()}
    assert len(expected) >= 2
    found = {list_turns(prompt["messages"], thoughts): prompt for prompt in prompts}
    assert set(found) == set(expected)
    for messages, pair in expected.items():
        prompt = found[messages]
        chosen, rejected = (list_turns([respond(pair, side)], thoughts) for side in SIDES)
        said = {
            r["response_id"]: list_turns(
                [{"role": "assistant", "content": r["text"], **r}], thoughts
            )
            for r in prompt["responses"]
        }
        assert sorted(said.values()) == sorted([chosen, rejected])
        assert prompt["tools"] == pair["tools"]
        values: dict[str, dict[str, float]] = {"ranking": {}, "thumb": {}, "rating": {}}
        for given in prompt["annotations"]:
            of = (said[response] for response in given["responses"])
            values[given["kind"]] |= dict(zip(of, given["values"], strict=True))
        if kind.endswith("_kto"):
            assert values["thumb"] == {chosen: 1.0, rejected: 0.0}
        elif kind == "helpsteer2":
            assert values["rating"] == {chosen: 3.0, rejected: 1.0}
        else:
            assert values["ranking"] == {chosen: 1.0, rejected: 2.0}


def read_given(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The annotations of the first prompt."""
    return list_given(read_back(folder, kind, "plain", "system")[0][0])


def test_scores_strengths_and_reasons_come_back(tmp_path: Path) -> None:
    for kind in ("ultrafeedback_binarized", "listwise"):
        of = {each["kind"]: each for each in read_given(tmp_path, kind)}
        assert of["rating"]["values"] == {"No.": 4.0, "Yes.": 2.0}
    points: dict[str, dict[str, float]] = {}
    for each in read_given(tmp_path, "helpsteer2"):
        points.setdefault(each["dimension"], {}).update(each["values"])
    assert points == {name: {"No.": 3.0, "Yes.": 1.0} for name in ATTRIBUTES}
    (given,) = read_given(tmp_path, "helpsteer2_preference")
    assert given["strength"] == pytest.approx(2 / 3)
    assert given["justification"].endswith("It says no.")
    (given,) = read_given(tmp_path, "helpsteer3")
    assert given["justifications"] == {"No.": "It is right.", "Yes.": "It is wrong."}
