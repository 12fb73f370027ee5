"""A scripted engine that says what it was asked, and can die on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from prefdata.engines.base import Operation
from prefdata.engines.scripted import ScriptedConfig, ScriptedEngine
from prefdata.hashing.ids import prompt_id
from prefdata.messages.columns import MESSAGES


class CountingEngine(ScriptedEngine):
    """`asked` holds the key of every request, and `encoding` is said of those with `<|end|>`; with
    `die_after` set, the engine raises `error` once so many batches were answered."""

    def __init__(
        self,
        die_after: int | None = None,
        error: BaseException | None = None,
        **options: Any,
    ) -> None:
        super().__init__("policy", ScriptedConfig(model="policy", options=options))
        self.asked: list[bytes] = []
        self.starts = 0
        self.encoding: str | None = None
        self.die_after = die_after
        self.error = error or RuntimeError("the device is gone")

    def start(self) -> None:
        self.starts += 1

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> pl.Series | None:
        if self.encoding is None:
            return None
        user = pl.col("messages").list.first().struct.field("content")
        held = user.str.contains("<|end|>", literal=True)
        return rows.select(pl.when(held).then(pl.lit(self.encoding))).to_series()

    def _batches(self, rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        for number, (batch, numbers) in enumerate(super()._batches(rows)):
            if number == self.die_after:
                raise self.error
            self.asked += batch["key"].to_list()
            yield batch, numbers


def requests(prompts: list[str], n: int = 1) -> pl.DataFrame:
    """Requests for `n` samples of each prompt."""
    rows = [
        {
            "prompt_id": prompt_id([("user", text)]),
            "messages": [{"role": "user", "content": text}],
            "sample_index": i,
        }
        for text in prompts
        for i in range(n)
    ]
    return pl.DataFrame(
        rows, schema={"prompt_id": pl.String, "messages": MESSAGES, "sample_index": pl.Int64}
    )
