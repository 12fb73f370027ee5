"""The loop that asks an engine only for what the memo does not hold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import polars as pl

from prefdata.engines.base import (
    OPERATIONS,
    Engine,
    Operation,
    Settings,
    result_schema,
    results,
)
from prefdata.inference.committer import Committer
from prefdata.inference.keys import request_keys
from prefdata.inference.memo import Memo
from prefdata.inference.runtime import Runtime
from prefdata.inference.usage import Usage, tokens


class Inference:
    """What stages ask models through: every call is keyed, remembered and counted."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        memo: Memo | None = None,
        runtime: Runtime | None = None,
        stage: str = "",
    ) -> None:
        self.engines = engines
        self.memo = memo
        self.runtime = runtime or Runtime()
        self.stage = stage
        self.usage: dict[str, Usage] = {}

    def fingerprint(self, model: str) -> str:
        """The fingerprint of the model that goes by this name in params.yaml."""
        return self.engines[model].fingerprint

    def ask(
        self, model: str, operation: Operation, settings: Settings, rows: pl.DataFrame
    ) -> pl.DataFrame:
        """The results of all rows, in their order: key, the operation's columns, error.

        `rows` hold the operation's request columns and `prompt_id`, the prompt id that the request
        belongs to. Rows that ask the same thing are asked once. Raises KeyboardInterrupt where
        the run is being stopped and rows are left; what was finished is in the memo by then.
        """
        engine = self.engines[model]
        engine.require(operation, settings)
        spec = OPERATIONS[operation]
        keys = request_keys(engine.fingerprint, operation, settings, rows, spec.request)
        keyed = pl.DataFrame({"key": keys, "prompt_id": rows["prompt_id"]}).with_row_index("row")
        distinct = keyed.unique("key", keep="first", maintain_order=True)
        # Every place that asks for a key: tables bucketed anew may ask from another one.
        places = keyed.select("key", "prompt_id").unique()
        done = [pl.DataFrame(schema=result_schema(operation))]
        if self.memo is not None:
            done = [self.memo.lookup(operation, engine.fingerprint, places)]
        lacking = distinct.join(done[0], on="key", how="anti", maintain_order="left")
        usage = Usage(requests=distinct.height, cached=distinct.height - lacking.height)
        usage.cached_tokens_in, usage.cached_tokens_out = tokens(operation, done[0])
        name = f"{operation} {model}"
        self.runtime.progress.start_call(self.stage, name, usage.requests, usage.cached)
        if lacking.height:
            # The requests' text is by far the largest thing here: copied only where it must be.
            missing = rows if lacking.height == rows.height else rows[lacking["row"]]
            missing = missing.select(spec.request).with_columns(lacking["key"])
            fresh = self._run(engine, operation, settings, missing, places, usage)
            done.append(fresh)
        self.usage[name] = self.usage.get(name, Usage()).plus(usage)
        return keyed.select("key").join(
            pl.concat(done), on="key", how="left", maintain_order="left"
        )

    def _run(
        self,
        engine: Engine,
        operation: Operation,
        settings: Settings,
        missing: pl.DataFrame,
        places: pl.DataFrame,
        usage: Usage,
    ) -> pl.DataFrame:
        fresh: list[pl.DataFrame] = []
        finished = 0

        def commit(waiting: list[pl.DataFrame]) -> None:
            if self.memo is not None:
                self.memo.commit(operation, engine.fingerprint, pl.concat(waiting), places)

        committer = Committer(commit)
        self.runtime.in_flight.add(committer)
        try:
            with nullcontext() if engine.concurrent else self.runtime.model_lock:
                if self.runtime.stopping.is_set():
                    raise KeyboardInterrupt
                engine.start()
                started = time.monotonic()
                produced: Iterator[pl.DataFrame] = getattr(engine, operation)(missing, settings)
                for yielded in produced:
                    found = yielded.select(result_schema(operation).names())
                    fresh.append(found)
                    committer.add(found)
                    finished += found.height
                    usage.failed += int(found["error"].is_not_null().sum())
                    read, made = tokens(operation, found)
                    usage.tokens_in += read
                    usage.tokens_out += made
                    usage.seconds = time.monotonic() - started
                    call = f"{operation} {engine.name}"
                    self.runtime.progress.advance(self.stage, call, found.height, usage)
                usage.retries = engine.take_retries()
        finally:
            # Also on Ctrl-C or an error half-way: what was finished is paid for.
            try:
                committer.close()
            finally:
                self.runtime.in_flight.discard(committer)
        answered = pl.concat([pl.DataFrame(schema=result_schema(operation)), *fresh])
        if finished == missing.height:
            return answered
        if self.runtime.stopping.is_set():
            raise KeyboardInterrupt
        keys = missing.join(answered, on="key", how="anti", maintain_order="left")["key"]
        usage.failed += len(keys)
        reasons = ["bad_response: the engine gave no result"] * len(keys)
        none = results(operation, keys, error=reasons)
        return pl.concat([answered, none])
