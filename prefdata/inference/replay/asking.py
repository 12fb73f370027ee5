"""An `Inference` that asks a sample of the memo's calls again, and never writes to the memo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from prefdata.engines.base import Engine, Operation, Settings, error_code, results
from prefdata.inference.loop import Inference
from prefdata.inference.memo import Memo
from prefdata.inference.runtime import Runtime

NOT_REMEMBERED = "not_remembered"
_SEEN = pl.Schema(
    {
        "call": pl.String(),
        "key": pl.Binary(),
        "prompt_id": pl.String(),
        "tokens_in": pl.Int64(),
        "tokens_out": pl.Int64(),
    }
)

Chosen = Mapping[str, frozenset[str]]
"""Call, such as "generate policy" -> the prompts whose requests are asked again."""


class Remembered(Inference):
    """Answers from the memo alone: what it lacks fails as `not_remembered`."""

    def _run(
        self, model: str, operation: Operation, settings: Settings, missing: pl.DataFrame,
        *counted: Any,
    ) -> pl.DataFrame:  # fmt: skip
        lacking = [f"{NOT_REMEMBERED}: the memo does not have it"] * missing.height
        return results(operation, missing["key"], error=lacking)


class ReplayInference(Inference):
    """Answers the requests of chosen prompts by asking again, and all others from the memo.

    Args:
        engines: The models by their names in params.yaml.
        memo: The run's memo, which is only read.
        scratch: Another memo, for what is asked now: a request that comes twice is asked once.
        runtime: The state of the run.
        stage: The stage whose calls these are.
        chosen: The prompts of each call; None: everything is answered from the memo.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        memo: Memo,
        scratch: Memo,
        runtime: Runtime,
        stage: str,
        chosen: Chosen | None = None,
    ) -> None:
        super().__init__(engines, memo, runtime, stage)
        self._remembered = Remembered(engines, memo)
        self._fresh = Inference(engines, scratch, runtime, stage)
        self._chosen = chosen
        self._seen = [pl.DataFrame(schema=_SEEN)]
        self._fresh_prompts: set[str] = set()
        self._other_prompts: set[str] = set()
        self.failed: dict[str, Counter[str]] = {}
        """Requests that failed now, by call and code."""

    def ask(
        self, model: str, operation: Operation, settings: Settings, rows: pl.DataFrame
    ) -> pl.DataFrame:
        call = f"{operation} {model}"
        again = rows["prompt_id"].is_in(sorted((self._chosen or {}).get(call, ())))
        self._fresh_prompts.update(rows.filter(again)["prompt_id"])
        self._other_prompts.update(rows.filter(~again)["prompt_id"])
        if self._chosen is None or not again.any():
            found = self._remembered.ask(model, operation, settings, rows)
            if self._chosen is None:
                self._note(call, operation, found, rows)
            return found
        fresh = self._fresh.ask(model, operation, settings, rows.filter(again))
        codes = fresh.filter(pl.col("error").is_not_null()).select(
            "key", error_code(pl.col("error"))
        )
        self.failed.setdefault(call, Counter()).update(codes.unique("key")["error"])
        self._note(call, operation, fresh, rows.filter(again))
        if again.all():
            return fresh
        others = self._remembered.ask(model, operation, settings, rows.filter(~again))
        number = pl.int_range(rows.height, eager=True).alias("row")
        both = [
            fresh.with_columns(number.filter(again)),
            others.with_columns(number.filter(~again)),
        ]
        return pl.concat(both).sort("row").drop("row")

    def list_seen(self) -> pl.DataFrame:
        """call, key, prompt_id, tokens_in and tokens_out: the requests that the memo has or, where
        prompts are chosen, that were asked again; each once for each prompt."""
        return pl.concat(self._seen).unique(["call", "key", "prompt_id"], maintain_order=True)

    def add(self, other: ReplayInference) -> None:
        """Count what another one has asked as this one's."""
        self._seen += other._seen
        for call, codes in other.failed.items():
            self.failed.setdefault(call, Counter()).update(codes)

    def has_asked(self) -> bool:
        """Whether any request was asked again."""
        return bool(self._fresh_prompts)

    def list_covered(self, prompts: pl.Series) -> set[str]:
        """Those of the prompts all of whose requests were asked again; all, where none was made."""
        if not self._fresh_prompts and not self._other_prompts:
            return set(prompts)
        return self._fresh_prompts - self._other_prompts

    def _note(
        self, call: str, operation: Operation, found: pl.DataFrame, rows: pl.DataFrame
    ) -> None:
        keyed = found.with_columns(rows["prompt_id"])
        lacking = pl.col("error").str.starts_with(NOT_REMEMBERED).fill_null(False)
        made = pl.col("n_tokens") if operation == "generate" else pl.lit(0, pl.Int64)
        self._seen.append(
            keyed.filter(~lacking)
            .select(
                "key",
                "prompt_id",
                call=pl.lit(call),
                tokens_in=pl.col("n_prompt_tokens").fill_null(0),
                tokens_out=made.fill_null(0),
            )
            .select(_SEEN.names())
        )


def choose_prompts(seen: pl.DataFrame, sample: int) -> dict[str, frozenset[str]]:
    """For each call the first prompts, by id, that have at least `sample` of its requests.

    Ids are digests of prompts, so the first are as good as any; whole prompts, so that what was
    judged of them can be judged anew.

    Args:
        seen: What `ReplayInference.list_seen` returns.
        sample: How many requests.
    """
    chosen = {}
    for (call,), rows in seen.sort("call", "prompt_id", "key").group_by(
        "call", maintain_order=True
    ):
        distinct = rows.unique("key", keep="first", maintain_order=True)
        counts = distinct.group_by("prompt_id", maintain_order=True).len()
        before = counts.with_columns(before=pl.col("len").cum_sum() - pl.col("len"))
        chosen[str(call)] = frozenset(before.filter(pl.col("before") < sample)["prompt_id"])
    return chosen


def has_sampled(seen: pl.DataFrame, sample: int) -> bool:
    """Whether every call has as many requests as are wanted."""
    counts = seen.unique(["call", "key"]).group_by("call").len()
    return counts.height > 0 and bool((counts["len"] >= sample).all())
