"""The contract of an engine."""

from __future__ import annotations

import threading
from abc import ABC
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

import polars as pl

from prefdata.engines.base.operations import (
    OPERATIONS,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
)
from prefdata.errors import ModelError

GRACE_SECONDS = 10.0
"""How long an engine may take to finish what is in flight once its run is asked to stop."""

REMEDY = "Name another model for this stage, or another engine for this model."


class Engine(ABC):
    """A model and what runs it. Making one is cheap; `start` loads the weights.

    An engine takes thousands of requests at once, as the rows of a polars frame with a `key`
    column, and yields finished results as frames, in any order, as soon as they are done: each
    yielded frame is committed to the memo, so work that was yielded is never asked for again. A
    request that can't be answered comes back with its reason in `error`, and never takes others
    with it. operations.py has the columns.

    An engine is made from the model's name in params.yaml and its configuration (config.py).
    `fingerprint` identifies everything about the model that changes its responses (weights,
    tokenizer, chat template, dtype, the engine itself). It is known before `start`, so that a run
    whose calls are all in the memo never loads the model.
    """

    name: str
    fingerprint: str
    structures: ClassVar[frozenset[str]] = frozenset()
    """The fields of `Structure` that the engine can hold responses to."""
    concurrent: ClassVar[bool] = False
    """Whether several threads may ask at once, each for its own rows. Where they may not, they
    wait for one another."""
    retries: int = 0
    """Requests that were sent again and not counted yet."""

    @cached_property
    def stopping(self) -> threading.Event:
        """Set when the run that the engine belongs to is asked to stop (Ctrl-C, SIGTERM). Whoever
        makes the engine for a run puts the run's own event here, before `start`.

        An engine looks at it before it takes up more rows. Once it is set, the engine finishes
        what is in flight, in at most GRACE_SECONDS, yields that and returns. Rows that it never
        took up, or gave up then, yield nothing.
        """
        return threading.Event()

    def take_retries(self) -> int:
        """The number of requests that were sent again since the last call of this method."""
        taken = self.retries
        self.retries -= taken
        return taken

    def start(self) -> None:
        """Load the model. Raises ModelError with the setting to change. Safe to call again."""

    def close(self) -> None:
        """Release what `start` took: processes, GPU memory, connections. Safe to call twice;
        `start` may follow."""

    def capabilities(self) -> frozenset[Operation]:
        """The operations this engine can do."""
        return frozenset(
            op for op in OPERATIONS if getattr(type(self), op) is not getattr(Engine, op)
        )

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        """Why this engine can't do it with these settings, or None: it can.

        Asked before any work starts, and before `start`.
        """
        if operation not in self.capabilities():
            can = ", ".join(sorted(self.capabilities()))
            return f"its engine can't {operation}; it can: {can}"
        structure = settings.structure if isinstance(settings, Sampling) else None
        kinds = structure.model_dump(exclude_none=True) if structure else {}
        unable = ", ".join(kind for kind in kinds if kind not in self.structures)
        return f"its engine can't hold responses to a structure ({unable})" if unable else None

    def require(self, operation: Operation, settings: Settings | None = None) -> None:
        """Check that the engine can do it. Raises ModelError with its reason where it can't."""
        reason = self.refusal(operation, settings)
        if reason is not None:
            raise ModelError(f"model {self.name}: {reason}", REMEDY)

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        """Sample one response per row, seeded by the row's key."""
        raise NotImplementedError

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        """The log-probability of the given completion, in nats, summed over its tokens."""
        raise NotImplementedError

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        """The log-probability of each option as the response, in nats; no text is parsed."""
        raise NotImplementedError

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """One vector of unit length per text."""
        raise NotImplementedError

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """The sum of the last-layer hidden states that predict the completion's tokens.

        The states are h(x, y<k) for k = 1..|y|: from the last prompt token to the last but one
        token of y, whose last is the end-of-turn token where the response is finished
        (arXiv 2410.08847, Definition 2). Shapes: (hidden size,) per row, as is the last state.
        """
        raise NotImplementedError

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """The rewards of the whole, ended response: one number per output of the model's head."""
        raise NotImplementedError
