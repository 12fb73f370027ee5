"""KTO's form of the other trainers: each response once, with whether it is desired."""

from __future__ import annotations

from itertools import pairwise

import orjson
import polars as pl
import pytest
from dataset.exports.given import format_bucket, make_bucket, make_export, read_rows

from prefdata.dataset.exports.base import ExportBucket

KINDS = {
    "llama_factory_kto": ("conversations", "kto_tag"),
    "ms_swift_kto": ("messages", "label"),
}
CALLS = {"llama_factory_kto": "function_call", "ms_swift_kto": "tool_call"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_response_is_one_row_with_its_label(kind: str) -> None:
    turns, label = KINDS[kind]
    export = make_export(kind, thoughts="inline")
    rows = read_rows(export, export.format_rows(make_bucket("system", "thoughts")))
    found = {(len(row[turns]), row[turns][-1]["content"], row[label]) for row in rows}
    thought = "<think>\nIt rains.\n</think>\n\nNo."
    assert found == {(3, "No.", True), (3, "Yes.", False), (2, thought, True), (2, "Yes.", False)}
    assert all(row[turns][-1]["role"] == "assistant" for row in rows)
    assert [row["response_id"] for row in rows] == sorted(row["response_id"] for row in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_label_or_no_place_is_dropped_with_its_reason(kind: str) -> None:
    pairs = make_bucket("plain").pairs
    lost = pairs["rejected_id"].item()
    other = pairs.with_columns(
        chosen_id=pl.lit(lost), chosen="rejected", rejected_id=pl.lit("empty"), rejected=pl.lit(""),
        pair_id=pl.lit("other"),
    )  # fmt: skip
    export = make_export(kind)
    formatted = export.format_rows(ExportBucket(pl.concat([pairs, other])))
    assert formatted.units_in == 3
    assert dict(formatted.dropped.select("response_id", "reason").iter_rows()) == {
        lost: "chosen_and_rejected",
        "empty": "empty_response",
    }
    assert formatted.pair_ids is not None
    assert formatted.pair_ids.to_list() == pairs["pair_id"].to_list()
    given = make_bucket("tools", "calls", "history", "thoughts")
    dropped = format_bucket(export, given).dropped
    reasons = dropped["reason"].value_counts().sort("reason").rows()
    # Both responses of the pair whose prompt has thoughts, and one that has some itself.
    assert reasons == [("thoughts", 3)]
    row = next(row for row in read_rows(export, format_bucket(export, given)) if row["tools"])
    assert {turn["role"] for turn in row[KINDS[kind][0]]} <= {"user", "assistant", CALLS[kind]}
    said = str(read_rows(export, format_bucket(export, make_bucket("calls"))))
    assert CALLS[kind] in said
    left_out = make_export(kind, thoughts="drop").format_rows(make_bucket("same_text"))
    assert left_out.dropped["reason"].to_list() == ["same_text", "same_text"]


def test_llama_factory_is_told_which_column_is_the_label() -> None:
    files = make_export("llama_factory_kto").make_files({"train": ["train.jsonl"]}, False)
    entry = orjson.loads(files["dataset_info.json"])["llama_factory_kto_train"]
    assert entry["ranking"] is False
    assert entry["columns"] == {"messages": "conversations", "kto_tag": "kto_tag"}


def test_axolotl_gets_the_texts_of_one_turn() -> None:
    export = make_export("axolotl_kto")
    formatted = export.format_rows(make_bucket("plain", "system", "multi_turn", "tools"))
    rows = read_rows(export, formatted)
    found = {(row["system"], row["completion"], row["label"]) for row in rows}
    asked = {"", "Answer briefly."}
    assert found == {(s, text, text == "No.") for s in asked for text in ("No.", "Yes.")}
    assert {row["instruction"] for row in rows} == {"Is it dry in Paris?"}
    assert sorted(formatted.dropped["reason"]) == ["multi_turn"] * 2 + ["tools"] * 2


def test_neighbours_in_a_shard_are_responses_to_prompts_at_random() -> None:
    """KTO takes the response of the row beside for one to another prompt."""
    export, bucket = make_export("llama_factory_kto"), make_bucket("plain")
    count = 400
    number = pl.int_range(count, dtype=pl.UInt32)
    digest = pl.concat_str(pl.lit("x"), number).hash(seed=1)
    pairs = pl.concat([bucket.pairs] * count).with_columns(
        pair_id=digest.cast(pl.String),
        prompt_id=digest.cast(pl.String),
        **{
            f"{side}_id": pl.format("{}{}", pl.lit(side), number).hash(seed=2).cast(pl.String)
            for side in ("chosen", "rejected")
        },
    )
    rows = read_rows(export, export.format_rows(ExportBucket(pairs)))
    neighbours = list(pairwise(rows))
    same = sum(one["prompt_id"] == other["prompt_id"] for one, other in neighbours)
    unlike = sum(one["kto_tag"] != other["kto_tag"] for one, other in neighbours)
    assert same <= 5
    assert 0.4 < unlike / len(neighbours) < 0.6
