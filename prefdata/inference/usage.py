"""Usage: the requests, cache hits, tokens and seconds of a stage's model calls."""

from __future__ import annotations

from typing import Protocol

import polars as pl
from pydantic import BaseModel

from prefdata.engines.base import Operation
from prefdata.tables.layout import Asked

_TOKENS = ("tokens_in", "tokens_out")


class Prices(Protocol):
    """The prices of a model's tokens."""

    @property
    def currency(self) -> str: ...

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The price of these numbers of tokens."""
        ...


class Usage(BaseModel):
    """Counters of one model and operation; they add up over buckets and workers.

    The memo had `cached` of the `requests`. `tokens_in` and `tokens_out` are those of the requests
    that were made, `cached_tokens_in` and `cached_tokens_out` those of the cached ones: the sums
    are the same however often the run was interrupted. Tokens in are read by a model, tokens out
    are generated.
    """

    requests: int = 0
    cached: int = 0
    failed: int = 0
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached_tokens_in: int = 0
    cached_tokens_out: int = 0
    seconds: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """The sum, field by field."""
        return Usage(**{k: getattr(self, k) + getattr(other, k) for k in Usage.model_fields})

    def add_rerun(self, later: Usage) -> Usage:
        """Combine this usage with that of a rerun, as if it had been one run.

        Results that `later` found in the memo because this run put them there do not count as
        cached.
        """
        asked = self.requests - self.cached + later.requests - later.cached
        total = {n: getattr(later, n) + getattr(later, f"cached_{n}") for n in _TOKENS}
        fresh = {n: getattr(self, n) + getattr(later, n) for n in _TOKENS}
        return Usage(
            requests=later.requests,
            cached=max(0, later.requests - asked),
            failed=later.failed,
            retries=self.retries + later.retries,
            seconds=self.seconds + later.seconds,
            **fresh,
            **{f"cached_{n}": max(0, total[n] - fresh[n]) for n in _TOKENS},
        )

    def count_asked(self, prices: Prices | None = None) -> Asked:
        """The part that is the same however often the run was interrupted, with its cost."""
        tokens_in = self.tokens_in + self.cached_tokens_in
        tokens_out = self.tokens_out + self.cached_tokens_out
        return Asked(
            requests=self.requests,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost=prices and prices.cost(tokens_in, tokens_out),
            currency=prices and prices.currency,
        )

    def tokens_per_second(self) -> float:
        """Tokens read and generated per second, by the requests that were made."""
        return (self.tokens_in + self.tokens_out) / self.seconds if self.seconds > 0 else 0.0

    def line(self) -> str:
        """One line of text: requests, how many were cached, and rates."""
        asked = self.requests - self.cached
        parts = [f"{self.requests} requests", f"{self.cached} cached"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.retries:
            parts.append(f"{self.retries} retries")
        if asked and self.seconds > 0:
            parts.append(f"{asked / self.seconds:,.0f} requests/s")
            if self.tokens_in or self.tokens_out:
                read, made = (n / self.seconds for n in (self.tokens_in, self.tokens_out))
                parts.append(f"{read:,.0f} tokens/s in, {made:,.0f} out")
        return ", ".join(parts)


def count_tokens(operation: Operation, results: pl.DataFrame) -> tuple[int, int]:
    """(tokens read, tokens generated) of all results."""
    made = int(results["n_tokens"].sum()) if operation == "generate" else 0
    return int(results["n_prompt_tokens"].sum()), made
