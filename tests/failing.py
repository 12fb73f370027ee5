"""A scripted engine of which one request in a hundred fails, in every way there is."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from prefdata.engines.scripted import ScriptedEngine

ERRORS = (
    "too_long: 9,000 tokens, the model takes 4,096",
    "refused: 400 invalid request",
    "timeout: no response in 600 s",
    "server_error: 503 overloaded",
    "bad_response: half of a JSON object",
    "model_error: out of memory",
)


def error_of(key: bytes) -> str | None:
    """The error of one request in a hundred, by its key."""
    number = int.from_bytes(key[8:12], "little")
    return ERRORS[number // 100 % len(ERRORS)] if number % 100 == 0 else None


class FailingEngine(ScriptedEngine):
    """`asked` holds what was asked of any of them, as (operation, key); `broken` says whether they
    fail."""

    asked: ClassVar[list[tuple[str, bytes]]] = []
    broken: ClassVar[bool] = True

    def _results(self, operation: Any, batch: pl.DataFrame, **columns: Any) -> pl.DataFrame:
        self.asked.extend((operation, key) for key in batch["key"].to_list())
        results = super()._results(operation, batch, **columns)
        if not self.broken:
            return results
        errors = [error_of(key) for key in results["key"].to_list()]
        failed = results.with_columns(error=pl.Series(errors, dtype=pl.String))
        none = [
            pl.when(pl.col("error").is_null()).then(pl.col(name)).alias(name)
            for name in results.columns
            if name not in ("key", "error")
        ]
        return failed.with_columns(none)
