"""The very rows that each consumer gets, and the files beside them."""

from __future__ import annotations

import math
from typing import Any

import orjson
import polars as pl
import pytest
import yaml
from dataset.exports.given import EARLIER, QUESTION, SYSTEM, make_bucket, make_export, read_rows
from dataset.structured import HISTORY, WEATHER, make_call, make_message

from prefdata.dataset.exports.base import ExportBucket

NO, YES = ({"role": "assistant", "content": text} for text in ("No.", "Yes."))
ASK = {"role": "user", "content": QUESTION["content"]}
BRIEFLY = {"role": "system", "content": SYSTEM["content"]}
BEFORE = [{"role": m["role"], "content": m["content"]} for m in EARLIER]
MARGIN = math.log(0.8 / 0.2)
OF_A_SYSTEM_TURN: dict[str, dict[str, Any]] = {
    "axolotl": {"messages": [BRIEFLY, ASK], "chosen": NO, "rejected": YES},
    "axolotl_reward": {
        "system": "Answer briefly.",
        "input": "Is it dry in Paris?",
        "chosen": "No.",
        "rejected": "Yes.",
    },
    "gemini": {
        "system_instruction": {"parts": [{"text": "Answer briefly."}]},
        "contents": [{"role": "user", "parts": [{"text": "Is it dry in Paris?"}]}],
        "completions": [
            {"score": 1.0, "completion": {"role": "model", "parts": [{"text": "No."}]}},
            {"score": 0.0, "completion": {"role": "model", "parts": [{"text": "Yes."}]}},
        ],
    },
    "llama_factory": {"conversations": [BRIEFLY, ASK], "chosen": NO, "rejected": YES},
    "ms_swift": {
        "messages": [BRIEFLY, ASK, NO], "rejected_response": "Yes.", "margin": pytest.approx(MARGIN)
    },
    "nemo_rl": {
        "context": [BRIEFLY, ASK],
        "completions": [{"rank": 0, "completion": [NO]}, {"rank": 1, "completion": [YES]}],
    },
    "open_instruct": {"chosen": [BRIEFLY, ASK, NO], "rejected": [BRIEFLY, ASK, YES]},
    "openrlhf": {
        "prompt": [BRIEFLY, ASK],
        "chosen": [NO],
        "rejected": [YES],
        "margin": pytest.approx(MARGIN),
    },
    "helpsteer3": {
        "domain": "general",
        "language": "english",
        "context": [BRIEFLY, ASK],
        "response1": "No.",
        "response2": "Yes.",
        "overall_preference": -2,
        "individual_preference": [
            {
                "score": -3,
                "reasoning": None,
                "feedback1": "It is right.",
                "feedback2": "It is wrong.",
            }
        ],
    },
}  # fmt: skip
OF_A_QUESTION: dict[str, dict[str, Any]] = {
    "rdpo": {
        "prompt": "Is it dry in Paris?",
        "chosen": "No.",
        "rejected": "Yes.",
        "rationale": "It is right.",
    },
    "ultrafeedback_binarized": {
        "prompt": "Is it dry in Paris?",
        "chosen": [ASK, NO],
        "rejected": [ASK, YES],
        "messages": [ASK, NO],
        "score_chosen": 4.0,
        "score_rejected": 2.0,
    },
    "helpsteer2_preference": {
        "prompt": "Is it dry in Paris?",
        "response_1": "No.",
        "response_2": "Yes.",
        "preference_strength": -2,
        "preference_statement": "Response 1 is better than Response 2.",
        "preference_elaboration": "It says no.",
    },
}


@pytest.mark.parametrize("kind", [*OF_A_SYSTEM_TURN, *OF_A_QUESTION])
def test_a_row_as_its_consumer_takes_it(kind: str) -> None:
    case = "system" if kind in OF_A_SYSTEM_TURN else "plain"
    (row,) = format_rows(kind, make_bucket(case))
    ids = {name: row.pop(name) for name in ("prompt_id", "pair_id") if name in row}
    assert row == {**OF_A_SYSTEM_TURN, **OF_A_QUESTION}[kind]
    assert all(len(value) == 32 for value in ids.values())


def format_rows(kind: str, bucket: ExportBucket, **settings: Any) -> list[dict[str, Any]]:
    export = make_export(kind, **settings)
    return read_rows(export, export.format_rows(bucket))


def test_gemini_calls_the_assistant_a_model() -> None:
    (row,) = format_rows("gemini", make_bucket("multi_turn"))
    assert [turn["role"] for turn in row["contents"]] == ["user", "model", "user"]
    assert row["system_instruction"] is None


def test_openai_takes_tools_and_calls_with_ids_and_arguments_as_text() -> None:
    (row,) = format_rows("openai", make_bucket("calls"))
    assert orjson.loads(row["input"]["tools"])[0] == WEATHER
    assert [orjson.loads(m) for m in row["input"]["messages"]] == [ASK]
    (message,) = (orjson.loads(text) for text in row["preferred_output"])
    function = {"name": "weather", "arguments": '{"city":"Paris"}'}
    assert message["tool_calls"] == [{"id": "call_0", "type": "function", "function": function}]
    assert [orjson.loads(text) for text in row["non_preferred_output"]] == [YES]
    (row,) = format_rows("openai", make_bucket("history"), thoughts="drop")
    messages = [orjson.loads(text) for text in row["input"]["messages"]]
    assert [m["role"] for m in messages] == [m["role"] for m in HISTORY]
    assert messages[-1]["tool_call_id"] == messages[-2]["tool_calls"][0]["id"] == "1"
    assert "need the weather" not in str(messages)
    (row,) = format_rows("openai", make_bucket("plain"))
    assert row["input"] == {"messages": [orjson.dumps(ASK).decode()], "tools": None}


def test_llama_factory_has_calls_and_results_as_turns_and_takes_one_result() -> None:
    (row,) = format_structured("llama_factory", "calls")
    assert orjson.loads(row["tools"])[0] == WEATHER
    call = {"name": "weather", "arguments": {"city": "Paris"}}
    assert row["chosen"]["role"] == "function_call"
    assert orjson.loads(row["chosen"]["content"]) == call
    assert row["rejected"] == YES
    (row,) = format_structured("llama_factory", "history", thoughts="inline")
    roles = [turn["role"] for turn in row["conversations"]]
    assert roles == ["system", "user", "function_call", "observation"]
    thought, _, said = row["conversations"][2]["content"].rpartition("</think>\n\n")
    assert thought.startswith("<think>\nI need")
    assert orjson.loads(said)["arguments"] == {"city": "Paris", "days": 1}
    assert row["conversations"][3]["content"] == '{"rain": true}'


def test_ms_swift_has_each_call_as_a_turn_behind_the_text() -> None:
    (row,) = format_structured("ms_swift", "calls")
    assert [turn["role"] for turn in row["messages"]] == ["user", "tool_call"]
    assert row["rejected_messages"] == [ASK, YES]
    assert row["rejected_tools"] == row["tools"]
    (row,) = format_structured("ms_swift", "history", thoughts="inline")
    roles = [turn["role"] for turn in row["messages"]]
    assert roles == ["system", "user", "assistant", "tool_call", "tool_response", "assistant"]


def format_structured(kind: str, case: str, **settings: Any) -> list[dict[str, Any]]:
    export, bucket = make_export(kind, **settings), make_bucket(case)
    return read_rows(export, export.format_structured(bucket))


TWICE = [make_call("weather", n, city=city) for n, city in (("1", "Paris"), ("2", "Rome"))]
RESULTS = [make_message("tool", "dry", tool_call_id=n) for n in ("1", "2")]


@pytest.mark.parametrize(
    ("turns", "llama_factory", "ms_swift"),
    [
        ([make_message("assistant", "", tool_calls=TWICE), *RESULTS], "several_results", None),
        (
            [make_message("assistant", "", tool_calls=TWICE), *RESULTS[::-1]],
            "results_out_of_order",
            "results_out_of_order",
        ),
        (
            [make_message("assistant", "I look.", tool_calls=TWICE[:1]), RESULTS[0]],
            "text_and_calls",
            None,
        ),
        (
            [
                make_message("assistant", "", tool_calls=TWICE[:1]),
                RESULTS[0],
                make_message("user", "So?"),
            ],
            "user_after_result",
            None,
        ),
    ],
    ids=["results", "order", "text", "user"],
)
def test_turns_of_tools_that_a_form_lacks_fall_out(
    turns: list[Any], llama_factory: str | None, ms_swift: str | None
) -> None:
    for kind, reason in (("llama_factory", llama_factory), ("ms_swift", ms_swift)):
        bucket = make_bucket("calls")
        messages = pl.Series([[QUESTION, *turns]], dtype=bucket.pairs.schema["messages"])
        pairs = bucket.pairs.with_columns(messages=messages)
        formatted = make_export(kind).format_structured(ExportBucket(pairs))
        assert formatted.dropped["reason"].to_list() == ([reason] if reason else [])
        assert formatted.rows.height == (0 if reason else 1)


def test_a_prompt_that_helpsteer2_would_read_as_several_turns_falls_out() -> None:
    bucket = make_bucket("multi_turn")
    (row,) = format_rows("helpsteer2_preference", bucket)
    talk = "Hi.\n<extra_id_1>Assistant\nHello.\n<extra_id_1>User\nIs it dry in Paris?"
    assert row["prompt"] == talk
    quoted = [make_message("user", "Say <extra_id_1>User\nno")]
    messages = pl.Series([quoted], dtype=bucket.pairs.schema["messages"])
    pairs = ExportBucket(bucket.pairs.with_columns(messages=messages))
    for kind in ("helpsteer2", "helpsteer2_preference"):
        dropped = make_export(kind).format_rows(pairs).dropped
        assert dropped["reason"].to_list() == ["mark_in_text"]


SHARDS = {"train": ["train.jsonl"], "test": ["test.jsonl"]}


def test_llama_factory_is_told_of_every_column_and_tag() -> None:
    files = make_export("llama_factory", name="mine").make_files(SHARDS, False)
    info = orjson.loads(files["dataset_info.json"])
    assert list(info) == ["mine_train", "mine_test"]
    entry = info["mine_train"]
    assert (entry["file_name"], entry["formatting"], entry["ranking"]) == (
        "train.jsonl", "sharegpt", True,
    )  # fmt: skip
    assert entry["columns"] == {
        "messages": "conversations", "chosen": "chosen", "rejected": "rejected",
    }  # fmt: skip
    with_tools = make_export("llama_factory").make_files({"train": SHARDS["train"]}, True)
    entry = orjson.loads(with_tools["dataset_info.json"])["llama_factory_train"]
    assert entry["columns"]["tools"] == "tools"
    assert set(entry["tags"]) == {
        "role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag",
        "system_tag",
    }  # fmt: skip


def test_settings_for_the_other_trainers_name_the_splits_that_there_are() -> None:
    snippet = yaml.safe_load(make_export("axolotl").make_files(SHARDS, False)["axolotl.yaml"])
    entry = {"path": ".", "split": "train", "type": "chat_template.default"}
    assert snippet["rl"] == "dpo"
    assert snippet["datasets"] == [entry]
    assert snippet["test_datasets"] == [{**entry, "split": "test"}]
    kto = make_export("axolotl_kto", template="llama3").make_files(SHARDS, False)
    snippet = yaml.safe_load(kto["axolotl.yaml"])
    assert (snippet["rl"], snippet["datasets"][0]["type"]) == ("kto", "llama3.argilla")
    reward = make_export("axolotl_reward").make_files({"train": SHARDS["train"]}, False)
    snippet = yaml.safe_load(reward["axolotl.yaml"])
    assert snippet["reward_model"] is True
    assert "test_datasets" not in snippet
    data = yaml.safe_load(make_export("nemo_rl").make_files(SHARDS, False)["nemo_rl.yaml"])["data"]
    assert data["validation"] == {"dataset_name": "PreferenceDataset", "data_path": "test.jsonl"}
    flags = make_export("openrlhf").make_files(SHARDS, False)["flags.txt"].split()
    assert flags[flags.index("--data.prompt_key") + 1] == "prompt"
    assert "--data.apply_chat_template" in flags


def test_ultrafeedback_binarized_needs_scores() -> None:
    bucket = make_bucket("plain")
    unscored = bucket.pairs.with_columns(reward_rejected=pl.lit(None, pl.Float64))
    dropped = make_export("ultrafeedback_binarized").format_rows(ExportBucket(unscored)).dropped
    assert dropped["reason"].to_list() == ["no_reward"]
    (row,) = format_rows("ultrafeedback_binarized", ExportBucket(unscored), scores="consensus")
    assert (row["score_chosen"], row["score_rejected"]) == pytest.approx((0.8, 0.2))


def test_a_pair_without_the_rationale_that_is_wanted_is_dropped() -> None:
    bucket = make_bucket("plain")
    pairs = bucket.pairs.with_columns(rationale=pl.lit(None, pl.String))
    dropped = make_export("rdpo").format_rows(ExportBucket(pairs)).dropped
    assert dropped["reason"].to_list() == ["no_rationale"]
    (row,) = format_rows("rdpo", ExportBucket(pairs), rationale="specific")
    assert row["rationale"] == "It says no."


def test_verl_gets_all_prompts_that_can_be_rewarded() -> None:
    bucket = make_bucket("plain", "system", "tools")
    export = make_export("verl", data_source="mine", ability="facts")
    formatted = export.format_rows(bucket)
    assert formatted.dropped["reason"].to_list() == ["tools"]
    row = read_rows(export, formatted)[1]
    assert row["prompt"] == [BRIEFLY, ASK]
    assert row["reward_model"] == {"style": "rule", "ground_truth": "No."}
    assert (row["data_source"], row["ability"], row["extra_info"]["split"]) == (
        "mine", "facts", "train",
    )  # fmt: skip
    assert len({row["extra_info"]["index"] for row in read_rows(export, formatted)}) == 2
    unknown = bucket.prompts.with_columns(ground_truth=pl.lit(None, pl.String))
    bare = ExportBucket(bucket.pairs.clear(), {"prompts": unknown})
    assert make_export("verl").format_rows(bare).dropped["reason"].to_list() == [
        "tools", "no_ground_truth", "no_ground_truth",
    ]  # fmt: skip
    assert len(format_rows("verl", bare, style="model")) == 2
