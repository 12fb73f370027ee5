"""Our exports keep the rules of their consumers (prefdata/consumers), and two of these for real.

LLaMA-Factory and ms-swift convert
rows without a GPU, but can't be installed beside our dependencies: PREFDATA_LLAMA_FACTORY and
PREFDATA_MS_SWIFT name a Python that has one of them (make test-consumers).
"""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from dataset.exports.given import format_bucket, make_bucket, make_export

from prefdata.consumers.registry import CONSUMERS
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.dataset.shards import encode_shard
from prefdata.files.values import list_values

Row = dict[str, Any]
HELD = ("plain", "system", "multi_turn", "thoughts")


MADE_FOR = [(consumer, kind) for consumer, part in CONSUMERS.parts.items() for kind in part.exports]
FOR_NOBODY = {
    "cut", "dove", "helpsteer2", "helpsteer2_preference", "helpsteer3", "listwise", "rdpo",
    "ultrafeedback_binarized",
}  # fmt: skip
"""Forms of methods and public datasets, which no consumer here reads."""


def make_rows(kind: str) -> list[Row]:
    """The rows of HELD as the export's files hold them, and those of a dataset with structure where
    it has a form for them; JSON as the values."""
    fields = EXPORTS.parts[kind].config_type.model_fields
    export = make_export(kind, **({"thoughts": "inline"} if "thoughts" in fields else {}))
    made = [(export.record, export.format_rows(make_bucket(*HELD)))]
    if export.structured:
        made.append((export.structured, export.format_structured(make_bucket())))
    rows: list[Row] = []
    for record, formatted in made:
        frame = formatted.rows.select(*record.model_fields)
        content = bytes(encode_shard(export, record, frame, kind))
        if export.file_format == "jsonl":
            rows += [orjson.loads(line) for line in content.splitlines()]
        else:
            for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches():
                rows += list_values(batch)
    return rows


@pytest.mark.parametrize(("consumer", "kind"), MADE_FOR)
def test_every_row_keeps_its_consumers_rules(consumer: str, kind: str) -> None:
    rows = make_rows(kind)
    assert rows
    part = CONSUMERS.parse({"kind": consumer})
    for row in rows:
        reading = part.read({name: row[name] for name in part.reads if name in row})
        assert reading.taken_as
        # A margin that is written on purpose is read on purpose.
        assert {problem.effect for problem in reading.problems} <= {"reads"}, reading


def test_every_export_is_made_for_a_consumer() -> None:
    assert {kind for _, kind in MADE_FOR} | FOR_NOBODY == set(EXPORTS.parts)


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
