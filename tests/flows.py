"""Small flows for tests: a params.yaml of scripted models in a temporary folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import yaml

from prefdata.config import Params, load_params

SCRIPTED: dict[str, Any] = {
    "models": {
        "policy": {"engine": "scripted", "model": "policy"},
        "reference": {"engine": "scripted", "model": "reference"},
    },
    "generate": {"n": 4},
    "judge": {
        "judges": [
            {"kind": "pairwise", "model": "policy"},
            {"kind": "implicit_reward", "beta": 0.1},
        ],
        "consensus": {"kind": "mean"},
    },
    "score": {"model": "policy"},
    "pair": {"strategy": {"kind": "best_worst"}},
    "filter": {
        "filters": [
            {"kind": "near_identical"},
            {"kind": "near_duplicates"},
            {"kind": "ches", "max_quantile": 0.8},
        ]
    },
}


def write_params(folder: Path, **changes: Any) -> Path:
    """params.yaml in the folder; `changes` replace whole sections (None takes one away).

    The prompts are FOLDER/prompts.jsonl, the tables FOLDER/data.
    """
    raw = copy.deepcopy(SCRIPTED)
    raw["data"] = str(folder / "data")
    raw["memo"] = str(folder / "data" / "memo")
    raw["ingest"] = {"sources": [{"path": str(folder / "prompts.jsonl")}]}
    for name, value in changes.items():
        if value is None:
            raw.pop(name, None)
        else:
            raw[name] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def write_prompts(folder: Path, count: int = 20) -> Path:
    """`count` distinct prompts in FOLDER/prompts.jsonl."""
    words = ("river", "engine", "garden", "number", "window", "letter", "winter")
    rows = [
        {"prompt": f"Question {i}: what is a {words[i % 7]} {i * 37} good for, and why {i * i}?"}
        for i in range(count)
    ]
    path = folder / "prompts.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def params(folder: Path, count: int = 20, **changes: Any) -> Params:
    """Prompts and params.yaml written, and read back."""
    write_prompts(folder, count)
    return load_params(write_params(folder, **changes))
