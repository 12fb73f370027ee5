"""What the consumers' own code asks of a row: their rules as checks, and two of them for real.

The rules were read in the packages that the docstrings name. LLaMA-Factory and ms-swift convert
rows without a GPU, but can't be installed beside our dependencies: PREFDATA_LLAMA_FACTORY and
PREFDATA_MS_SWIFT name a Python that has one of them (make test-consumers).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from dataset.exports.given import format_bucket, make_bucket, make_export, read_rows

from prefdata.dataset.shards import encode_shard

Row = dict[str, Any]
HELD = ("plain", "system", "multi_turn", "thoughts")


def check_turns(turns: list[Row], last: str) -> None:
    """An optional system turn, then user and assistant in turn; no key that a template renders."""
    assert all(set(turn) == {"role", "content"} for turn in turns)
    roles = [turn["role"] for turn in turns]
    spoken = roles[roles[0] == "system" :]
    assert spoken == [("user", "assistant")[n % 2] for n in range(len(spoken))]
    assert roles[-1] == last


def check_llama_factory(row: Row) -> None:
    """llamafactory 0.9.5, data/converter.py, SharegptDatasetConverter; data/processor/pairwise.py,
    PairwiseDatasetProcessor.preprocess_dataset: chosen and rejected are a dict each, of the
    assistant; an odd number of turns after the system's."""
    check_turns(row["conversations"], "user")
    for side in ("chosen", "rejected"):
        assert isinstance(row[side], dict)
        assert row[side]["role"] == "assistant"


def check_ms_swift(row: Row) -> None:
    """ms_swift 4.6.0, dataset/preprocessor/core.py, RowPreprocessor._check_messages and
    _check_rejected_response; rlhf_trainers/reward_trainer.py, compute_loss: a margin or none in a
    whole batch."""
    check_turns(row["messages"], "assistant")
    assert isinstance(row["rejected_response"], str)
    assert row["rejected_response"] != row["messages"][-1]["content"]
    assert isinstance(row["margin"], float)


def check_openrlhf(row: Row) -> None:
    """openrlhf 0.11.2, datasets/reward_dataset.py, preprocess_data: the lists are joined."""
    check_turns(row["prompt"], "user")
    for side in ("chosen", "rejected"):
        check_turns(row["prompt"] + row[side], "assistant")


def check_nemo_rl(row: Row) -> None:
    """NeMo-RL (main, 2026-08-22), data/processors.py, preference_preprocessor: two completions of
    unequal rank, the lower is the better one."""
    better, worse = row["completions"]
    assert better["rank"] < worse["rank"]
    for completion in (better, worse):
        check_turns(row["context"] + completion["completion"], "assistant")


def check_axolotl(row: Row) -> None:
    """axolotl 0.21.0, prompt_strategies/dpo/chat_template.py, default: messages, and one message or
    a list of which the last counts."""
    check_turns(row["messages"], "user")
    for side in ("chosen", "rejected"):
        check_turns([*row["messages"], row[side]], "assistant")


def check_open_instruct(row: Row) -> None:
    """open-instruct (e6c3044, 2026-08-20), dataset_transformation.py,
    preference_tulu_tokenize_and_truncate_v1: the same turns but the last."""
    assert row["chosen"][:-1] == row["rejected"][:-1]
    for side in ("chosen", "rejected"):
        check_turns(row[side], "assistant")


def check_gemini(row: Row) -> None:
    """Vertex AI's page on preference tuning: contents end with a user's; the scores are 1 and 0."""
    assert row["contents"][-1]["role"] == "user"
    assert [each["score"] for each in row["completions"]] == [1.0, 0.0]
    assert {each["completion"]["role"] for each in row["completions"]} == {"model"}
    assert set(row) == {"system_instruction", "contents", "completions"}


def check_openai(row: Row) -> None:
    """OpenAI's, Azure's, Fireworks' and Together's pages: no other keys, one message each."""
    assert set(row) == {"input", "preferred_output", "non_preferred_output"}
    for side in ("preferred_output", "non_preferred_output"):
        (message,) = (orjson.loads(text) for text in row[side])
        assert message["role"] == "assistant"


CHECKS: dict[str, Callable[[Row], None]] = {
    name.removeprefix("check_"): check
    for name, check in list(globals().items())
    if name.startswith("check_") and name != "check_turns"
}


@pytest.mark.parametrize("kind", CHECKS)
def test_every_row_keeps_its_consumers_rules(kind: str) -> None:
    export = make_export(kind, thoughts="inline")
    rows = read_rows(export, export.format_rows(make_bucket(*HELD)))
    assert len(rows) == len(HELD)
    for row in rows:
        CHECKS[kind](row)


LLAMA_FACTORY = """
import json, sys, types
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

sys.modules["torchaudio"] = types.ModuleType("torchaudio")  # For audio alone, and built for CUDA.
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)
from datasets import load_dataset
from llamafactory.data.converter import align_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments

(entry,) = get_dataset_list([sys.argv[1] + "_train"], ".")
rows = load_dataset("json", data_files=entry.dataset_name, split=entry.split)
process = SimpleNamespace(local_process_index=0)
aligned = align_dataset(rows, entry, DataArguments(dataset_dir="."), process)
print(json.dumps([dict(row) for row in aligned]))
"""
MS_SWIFT = """
import json
from datasets import load_dataset
from swift.dataset import AutoPreprocessor

rows = load_dataset("json", data_files="train.jsonl", split="train")
print(json.dumps([dict(row) for row in AutoPreprocessor()(rows, strict=True)]))
"""


def convert(kind: str, script: str, folder: Path, *cases: str) -> list[Row]:
    """The rows of these cases as the consumer's own converter, in its own Python, makes them."""
    variable = f"PREFDATA_{kind.removesuffix('_kto').upper()}"
    python = os.environ.get(variable)
    if python is None:
        pytest.skip(f"{variable} names no Python that has {kind}")
    export, bucket = make_export(kind, thoughts="inline"), make_bucket(*cases)
    structured = bool(export.list_structure(bucket))
    record = export.structured if structured and export.structured else export.record
    rows = format_bucket(export, bucket).rows
    lines = encode_shard(export, record, rows.drop("split"), kind)
    (folder / "train.jsonl").write_bytes(bytes(lines))
    for name, text in export.make_files({"train": ["train.jsonl"]}, structured).items():
        (folder / name).write_text(text)
    caches = {"HF_HOME": str(folder / "hf"), "MODELSCOPE_CACHE": str(folder / "ms")}
    # LLaMA-Factory refuses other versions of its dependencies, which its converter does not touch.
    settings = {**os.environ, **caches, "DISABLE_VERSION_CHECK": "1", "PYTHONPATH": ""}
    done = subprocess.run(
        [python, "-c", script, kind], cwd=folder, env=settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: list[Row] = orjson.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.consumers
def test_llama_factory_converts_every_row(tmp_path: Path) -> None:
    rows = convert("llama_factory", LLAMA_FACTORY, tmp_path, *HELD)
    assert [len(row["_prompt"]) for row in rows] == [1, 1, 3, 1]
    assert [row["_system"] for row in rows] == ["", "Answer briefly.", "", ""]
    texts = [[turn["content"] for turn in row["_response"]] for row in rows]
    assert texts == [["No.", "Yes."]] * 3 + [["<think>\nIt rains.\n</think>\n\nNo.", "Yes."]]


@pytest.mark.consumers
def test_ms_swift_converts_every_row(tmp_path: Path) -> None:
    rows = convert("ms_swift", MS_SWIFT, tmp_path, *HELD)
    assert [len(row["messages"]) for row in rows] == [2, 3, 4, 2]
    assert [row["rejected_response"] for row in rows] == ["Yes."] * 4
    assert all(row["margin"] > 0 for row in rows)


@pytest.mark.consumers
@pytest.mark.parametrize(
    ("kind", "script"), [("llama_factory_kto", LLAMA_FACTORY), ("ms_swift_kto", MS_SWIFT)]
)
def test_they_convert_every_response_with_its_label(kind: str, script: str, tmp_path: Path) -> None:
    rows = convert(kind, script, tmp_path, *HELD)
    if kind == "ms_swift_kto":
        found = [(row["messages"][-1]["content"], row["label"]) for row in rows]
    else:
        sides = [[turn["content"] for turn in row["_response"]] for row in rows]
        found = [(one or other, bool(one)) for one, other in sides]
    assert len(found) == 2 * len(HELD)
    assert all(label == text.endswith("No.") for text, label in found)


@pytest.mark.consumers
@pytest.mark.parametrize(
    ("kind", "script"), [("llama_factory", LLAMA_FACTORY), ("llama_factory_kto", LLAMA_FACTORY)]
)
def test_llama_factory_converts_calls_and_results(kind: str, script: str, tmp_path: Path) -> None:
    rows = convert(kind, script, tmp_path, "calls", "history")
    called, after = rows[0], next(row for row in rows if len(row["_prompt"]) > 1)
    assert {row["_tools"] is None for row in rows} == {True, False}
    assert "function" in {turn["role"] for row in rows for turn in row["_response"]}
    assert [turn["role"] for turn in after["_prompt"]] == ["user", "function", "observation"]
    assert called["_system"] in ("", "Answer briefly.")


@pytest.mark.consumers
@pytest.mark.parametrize("kind", ["ms_swift", "ms_swift_kto"])
def test_ms_swift_converts_calls_and_results(kind: str, tmp_path: Path) -> None:
    rows = convert(kind, MS_SWIFT, tmp_path, "calls", "history")
    roles = {turn["role"] for row in rows for turn in row["messages"]}
    assert roles == {"system", "user", "assistant", "tool_call", "tool_response"}
    assert {row["tools"] is None for row in rows} == {True, False}
    if kind == "ms_swift":
        assert all(row["rejected_tools"] == row["tools"] for row in rows)
