"""The subject of a filter: a pair's prompt, chosen response or rejected response."""

from __future__ import annotations

from typing import Literal

import polars as pl

from prefdata.hashing.digests import row_digests

Subject = Literal["prompt", "chosen", "rejected"]

ID_COLUMN: dict[Subject, str] = {
    "prompt": "prompt_id",
    "chosen": "chosen_id",
    "rejected": "rejected_id",
}
"""The column of a pair that names the subject."""


def select_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """`id` and `text` of rows of prompts or of responses, in their order. A prompt's text holds all
    its turns."""
    if "response_id" in rows.columns:
        return rows.select("text", id="response_id")
    contents = pl.col("messages").list.eval(pl.element().struct.field("content"))
    return rows.select(text=contents.list.join("\n"), id="prompt_id")


def hash_contents(texts: pl.Series) -> pl.Series:
    """64 bits of each text's SHA-256: equal texts have equal hashes."""
    digests = row_digests(pl.DataFrame({"text": texts}), ["text"])
    return digests.str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)
