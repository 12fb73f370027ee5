"""The preference pairs that a reward head is trained on."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import orjson
import polars as pl

from prefdata.engines.base import MESSAGES
from prefdata.errors import SourceError
from prefdata.files import storage
from prefdata.hashing.ids import prompt_id


def read_pairs(path: str) -> pl.DataFrame:
    """Read a JSONL file, gzipped or not.

    `{"prompt": [message …], "chosen": [message], "rejected": [message], "split": "heldout"}`
    becomes a row of prompt_id, prompt (messages), chosen, rejected (texts), source ("" where it
    is not given) and split (train where it is not given).
    """
    content = storage.read_bytes(path)
    if content is None:
        raise SourceError(f"{path}: no such file", "Set reward_head.data to a JSONL of pairs.")
    if path.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: not gzip, or cut short: {error}") from error
    rows = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            rows.append(_parse_pair(orjson.loads(line)))
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
            raise SourceError(
                f"{path}:{number}: not a preference pair ({error!r})",
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
