"""Values that no row should hold: the row is dropped with its reason, the others are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from prefdata.cli.ches.rows import read_dataset
from prefdata.sources.detect import open_dataset_source
from prefdata.sources.registry import SOURCES

PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
CALL = [{"tool_call_id": "c", "function_name": "f", "arguments": {}}]


def atif(**step: Any) -> dict[str, Any]:
    steps = [{"source": "user", "message": "Mend it."}, {"source": "agent", "message": "I", **step}]
    return {"schema_version": "ATIF-v1.6", "agent": {"name": "a"}, "steps": steps}


def write(folder: Path, *rows: Any) -> str:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("preferences", PAIR, {**PAIR, "history": 5}),
        ("traces", atif(), atif(tool_calls=CALL, observation=["x"])),
        ("traces", atif(), {**atif(), "steps": [{"source": ["user"], "message": "x"}]}),
    ],
)
def test_an_odd_value_drops_its_row_alone(
    kind: str, good: dict[str, Any], bad: dict[str, Any], tmp_path: Path
) -> None:
    source = SOURCES.parse({"kind": kind, "path": write(tmp_path, good, bad, good)})
    dropped = [row for _, frame in source.read(0, 0.1, 1000) for row in frame.to_dicts()]
    odd = [row for row in dropped if row["reason"] == "unreadable_row"]
    assert [(row["origin"].rpartition(":")[2], row["fault"]) for row in odd] == [("2", True)]
    assert "Error: " in odd[0]["detail"]


def test_so_it_is_for_ches(tmp_path: Path) -> None:
    path = write(tmp_path, PAIR, {**PAIR, "history": 5}, {"chosen": "So."})
    found = read_dataset(open_dataset_source(path, "preferences"))
    assert (found.count, found.pairs["row"].to_list()) == (3, [0])
    assert found.reasons["reason"].to_list() == ["unreadable_row", "missing_field"]


def test_a_value_that_fits_no_column_drops_its_row_alone(tmp_path: Path) -> None:
    """Two runs part; a third one's model is no text, which shows when the frame is made."""
    ends = [atif(message=text, model_name=model) for text, model in (("a", "m"), ("b", "n"))]
    other = {**atif(message="d", model_name={"a": 1})}
    other["steps"][0] = {"source": "user", "message": "Another task."}
    second = {**atif(message="e")}
    second["steps"][0] = other["steps"][0]
    source = SOURCES.parse({"kind": "traces", "path": write(tmp_path, *ends, other, second)})
    ((prompts, dropped),) = source.read(0, 0.1, 1000)
    assert [m["content"] for m in prompts["messages"][0]] == ["Mend it."]
    assert prompts.height == 1
    assert dropped["reason"].to_list() == ["unreadable_row"]
