"""What holds for every export: nothing is lost, and no column has a name that its consumer reads
otherwise."""

from __future__ import annotations

import dataclasses

import pytest
from dataset.exports.given import (
    CASES,
    format_bucket,
    make_bucket,
    make_export,
    read_rows,
)

from prefdata.dataset.exports.base import ExportBucket
from prefdata.dataset.exports.registry import EXPORTS

KINDS = sorted(EXPORTS.parts)
READ_OTHERWISE: dict[str, set[str]] = {
    "axolotl": {"images", "prompt", "system", "conversations"},
    "axolotl_kto": {"prompt", "question", "images", "messages"},
    "axolotl_reward": {"messages", "images", "label", "prompt"},
    "cut": {"score", "i_ans"},
    "dove": {"prompt_chosen", "prompt_rejected", "response_chosen", "response_rejected"},
    "llama_factory": {"system", "images", "videos", "audios", "kto_tag", "prompt"},
    "ms_swift": {
        "channel", "chat_template_kwargs", "images", "label", "objects", "prompt", "response",
        "rejected_images", "solution", "system", "teacher_prompt", "query",
    },
    "nemo_rl": {"task_name", "messages", "prompt", "chosen", "rejected"},
    "open_instruct": {"dataset", "ground_truth", "messages", "prompt"},
    "openrlhf": {"label", "datasource", "images", "input"},
    "rdpo": {"generations", "messages", "completion", "label", "margin", "images"},
    "reward_conditioned": {
        "chat_template_kwargs", "completion", "image", "images", "label", "margin", "messages",
        "reference", "ref_chosen_logps", "ref_rejected_logps", "soft_label", "weight",
    },
    "ultrafeedback_binarized": {"completion", "label", "margin", "images", "text"},
    "verl": {"images", "videos", "audios", "index", "tools_kwargs", "agent_name", "messages"},
}  # fmt: skip
"""For each export the columns that its consumer's code reads in a meaning that ours has not."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out_or_is_dropped_with_its_reason(kind: str) -> None:
    export, bucket = make_export(kind), make_bucket()
    formatted = format_bucket(export, bucket)
    rows, dropped = formatted.rows, formatted.dropped
    units_in = bucket.pairs.height if formatted.units_in is None else formatted.units_in
    units_out = rows.height if formatted.units_out is None else formatted.units_out
    assert units_in == units_out + dropped.height
    assert 0 < units_out <= units_in
    assert dropped["reason"].str.contains("^[a-z_]+$").all()
    assert dropped["detail"].str.ends_with(".").all()
    assert len(read_rows(export, formatted)) == rows.height
    assert export.cannot_carry.endswith(".")
    assert export.usage, "the card says how its consumer takes it"


@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_the_columns_of_their_record(kind: str) -> None:
    export = make_export(kind)
    plain = export.format_rows(make_bucket("plain", "system")).rows
    assert {*plain.columns} == {*export.record.model_fields, "split"}
    if export.structured is not None:
        rows = export.format_structured(make_bucket()).rows
        assert {*rows.columns} == {*export.structured.model_fields, "split"}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_depend_on_the_pairs_alone(kind: str) -> None:
    """Neither on their order nor on how they are cut into buckets; and no pairs are no rows."""
    export = make_export(kind)
    bucket = make_bucket()
    whole = read_rows(export, format_bucket(export, bucket))
    turned = dataclasses.replace(bucket, pairs=bucket.pairs.sort("pair_id", descending=True))
    assert sorted(read_rows(export, format_bucket(export, turned)), key=str) == sorted(
        whole, key=str
    )
    parts: list[dict[str, object]] = []
    for prompt in bucket.pairs["prompt_id"]:
        part = _take_prompt(bucket, prompt)
        structured = bool(export.structured and export.list_structure(bucket))
        made = export.format_structured(part) if structured else export.format_rows(part)
        parts += read_rows(export, made)
    assert sorted(parts, key=str) == sorted(whole, key=str)
    empty = _take_prompt(bucket, "none")
    made = export.format_rows(empty)
    assert (made.rows.height, made.dropped.height) == (0, 0)
    assert read_rows(export, made) == []


@pytest.mark.parametrize("kind", READ_OTHERWISE)
def test_no_column_has_a_name_that_the_consumer_reads_otherwise(kind: str) -> None:
    export = EXPORTS.parts[kind]
    for record in (export.record, export.structured):
        if record is not None:
            assert not READ_OTHERWISE[kind] & set(record.model_fields)


HELD: dict[str, set[str]] = {
    "conversations": {"plain", "system", "multi_turn"},
    "one_turn": {"plain", "system"},
    "question": {"plain"},
    "multi_turn": {"plain", "multi_turn"},
    "tools": {"plain", "system", "multi_turn", "tools", "calls"},
}
FORMS = {
    "axolotl": "conversations",
    "axolotl_reward": "one_turn",
    "cut": "question",
    "gemini": "conversations",
    "helpsteer2": "multi_turn",
    "helpsteer2_preference": "multi_turn",
    "helpsteer3": "conversations",
    "llama_factory": "tools",
    "ms_swift": "tools",
    "nemo_rl": "conversations",
    "open_instruct": "conversations",
    "openai": "tools",
    "openrlhf": "conversations",
    "rdpo": "question",
    "ultrafeedback_binarized": "question",
}
REASONS = {
    "system": "system_turn",
    "multi_turn": "multi_turn",
    "tools": "tools",
    "calls": "tools",
    "history": "tools",
    "thoughts": "thoughts",
    "same_text": "thoughts",
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", FORMS)
def test_what_a_form_has_no_place_for_is_dropped_with_that_reason(kind: str, case: str) -> None:
    export, bucket = make_export(kind), make_bucket(case)
    dropped = format_bucket(export, bucket).dropped
    if case in HELD[FORMS[kind]]:
        assert dropped.height == 0
        return
    expected = "thoughts" if case == "history" and FORMS[kind] == "tools" else REASONS[case]
    assert dropped["reason"].to_list() == [expected]
    assert dropped["pair_id"].to_list() == bucket.pairs["pair_id"].to_list()


@pytest.mark.parametrize("kind", FORMS)
def test_thoughts_stand_in_the_text_or_are_left_out_where_that_is_wanted(kind: str) -> None:
    inline, left_out = (
        format_bucket(export, make_bucket("thoughts", "same_text"))
        for export in (make_export(kind, thoughts=how) for how in ("inline", "drop"))
    )
    marked = "<think>\\nIt rains.\\n</think>\\n\\nNo."
    assert marked in inline.rows.write_json().replace("\\\\n", "\\n")
    assert inline.dropped.height == 0
    assert "rains" not in left_out.rows.write_json()
    assert left_out.dropped["reason"].to_list() == ["same_text"]


def _take_prompt(bucket: ExportBucket, prompt: str) -> ExportBucket:
    tables = {name: table.filter(prompt_id=prompt) for name, table in bucket.tables.items()}
    return ExportBucket(bucket.pairs.filter(prompt_id=prompt), tables)


@pytest.mark.parametrize("kind", ["trl", "trl_reward", "trl_tpo", "reward_conditioned", "openai"])
def test_responses_that_differ_in_thoughts_alone_are_no_pair_without_them(kind: str) -> None:
    export = make_export(kind, thoughts="drop")
    left_out = format_bucket(export, make_bucket("same_text", "plain"))
    assert left_out.dropped["reason"].to_list() == ["same_text"]
    assert len({str(row) for row in read_rows(export, left_out)}) == left_out.rows.height > 0
