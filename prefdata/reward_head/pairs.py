"""The preference pairs that a reward head is trained on."""

from __future__ import annotations

from typing import Any

import polars as pl

from prefdata.errors import DropRecord, SourceError
from prefdata.files.rows import read_rows
from prefdata.hashing.ids import prompt_id
from prefdata.messages.columns import MESSAGES


def read_pairs(path: str) -> pl.DataFrame:
    """Read a file of pairs, such as JSONL, compressed or not.

    `{"prompt": [message …], "chosen": [message], "rejected": [message], "split": "heldout"}`
    becomes a row of prompt_id, prompt (messages), chosen, rejected (texts), source ("" where it
    is not given) and split (train where it is not given).
    """
    rows = []
    for row in read_rows(path):
        try:
            if isinstance(row.value, DropRecord):
                raise row.value
            rows.append(_parse_pair(row.value))
        except (DropRecord, KeyError, TypeError, IndexError) as error:
            raise SourceError(
                f"{path}:{row.number}: not a preference pair ({error!r})",
                'A line is {"prompt": [message …], "chosen": [message], "rejected": [message]}.',
            ) from error
    if not rows:
        raise SourceError(f"{path}: empty", "Set reward_head.data to a JSONL of pairs.")
    return pl.DataFrame(rows, schema_overrides={"prompt": MESSAGES})


def _parse_pair(row: Any) -> dict[str, Any]:
    prompt = [{"role": m["role"], "content": m["content"]} for m in row["prompt"]]
    pair = {
        "chosen": row["chosen"][-1]["content"],
        "rejected": row["rejected"][-1]["content"],
        "source": row.get("source", ""),
        "split": row.get("split", "train"),
    }
    texts = [*pair.values(), *(text for message in prompt for text in message.values())]
    if not prompt or not all(isinstance(text, str) for text in texts):
        raise TypeError("a prompt needs a message, and every value has to be a text")
    return {
        "prompt_id": prompt_id((m["role"], m["content"]) for m in prompt),
        "prompt": prompt,
        **pair,
    }
