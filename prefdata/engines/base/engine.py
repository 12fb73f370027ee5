"""The contract of an engine."""

from __future__ import annotations

import threading
from abc import ABC
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar

import polars as pl

from prefdata import __version__
from prefdata.engines.base.operations import (
    OPERATIONS,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
)
from prefdata.errors import ModelError
from prefdata.messages.marks import Marks
from prefdata.messages.thoughts import split_thoughts
from prefdata.messages.tool_calls import CallFormat

GRACE_SECONDS = 10.0
"""How long an engine may take to finish requests in flight once its run is asked to stop."""

REMEDY = "Name another model for this stage, or another engine for this model."


class Engine(ABC):
    """A model and what runs it. Creating one is cheap; `start` loads the weights.

    An engine takes thousands of requests at once, as the rows of a polars frame with a `key`
    column. It yields results as frames, in any order, as soon as they are finished. Each yielded
    frame is committed to the memo, so its requests are never made again. A request that fails is
    returned with its reason in `error`, and other requests do not fail with it. operations.py has
    the columns.

    An engine is created from the model's name in params.yaml and its configuration (config.py).
    `fingerprint` identifies everything about the model that changes its responses (weights,
    tokenizer, chat template, dtype, the engine itself). It is available before `start`, so that a
    run whose calls are all in the memo never loads the model.
    """

    name: str
    fingerprint: str
    structures: ClassVar[frozenset[str]] = frozenset()
    """The fields of `Structure` to which the engine can constrain responses."""
    gives_indicators: ClassVar[bool] = False
    """Whether it can measure `Sampling.indicator_top_k`."""
    concurrent: ClassVar[bool] = False
    """Whether several threads may call the engine at once, each with its own rows. If not, they
    wait for one another."""
    replicable: ClassVar[bool] = False
    """Whether every process may have an engine of its own: it holds no weights, connections or
    limits. The others are in the run's own process, whichever process asks them."""
    retries: int = 0
    """The number of requests sent again since the last `take_retries`."""

    @cached_property
    def stopping(self) -> threading.Event:
        """Set when the engine's run is asked to stop (Ctrl-C, SIGTERM).

        Whoever creates the engine for a run assigns the run's own event here, before `start`. An
        engine checks it before it starts on more rows. Once it is set, the engine finishes the
        requests in flight, in at most GRACE_SECONDS, yields them and returns. Rows that it never
        started or had to abandon yield nothing.
        """
        return threading.Event()

    def take_retries(self) -> int:
        """The number of requests that were sent again since the last call of this method."""
        taken = self.retries
        self.retries -= taken
        return taken

    def check(self) -> None:
        """Check, before any work and without the model, what `start` needs, such as a key. Raises
        ConfigError."""

    def start(self) -> None:
        """Load the model. Raises ModelError with the setting to change. Safe to call again."""

    def close(self) -> None:
        """Release what `start` acquired: processes, GPU memory, connections. Safe to call twice;
        `start` may be called afterwards."""

    def capabilities(self) -> frozenset[Operation]:
        """The operations that this engine supports."""
        return frozenset(
            op for op in OPERATIONS if getattr(type(self), op) is not getattr(Engine, op)
        )

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        """Why this engine can't do the operation with these settings; None if it can.

        Called before any work starts, and before `start`.
        """
        if operation not in self.capabilities():
            can = ", ".join(sorted(self.capabilities()))
            return f"its engine can't {operation}; it can: {can}"
        sampling = settings if isinstance(settings, Sampling) else Sampling()
        if sampling.indicator_top_k and not self.gives_indicators:
            return "its engine can't measure indicator_top_k: it does not see the likeliest tokens"
        structure = sampling.structure
        kinds = structure.model_dump(exclude_none=True) if structure else {}
        unable = ", ".join(kind for kind in kinds if kind not in self.structures)
        return f"its engine can't hold responses to a structure ({unable})" if unable else None

    def require(self, operation: Operation, settings: Settings | None = None) -> None:
        """Check that the engine can do the operation. Raises ModelError with the reason if not."""
        reason = self.refusal(operation, settings)
        if reason is not None:
            raise ModelError(f"model {self.name}: {reason}", REMEDY)

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> pl.Series | None:
        """What tells each request's tokens from those that its columns had in the past, as texts;
        a part of its key where not null. Called before `start`, like `refusal`."""
        return None

    def describe_versions(self) -> dict[str, str]:
        """What answers on this machine: packages with their versions, device, number type. Called
        after `start`."""
        return {"prefdata": __version__}

    def split_tokens(self, texts: Sequence[str]) -> list[list[int]] | None:
        """The ids of each text's tokens; None where the model's tokenizer is not here. Called after
        `start`."""
        return None

    def call_format(self) -> CallFormat | None:
        """How the model writes calls in the texts of `generate`; None: not in its texts."""
        return None

    def list_formats(self, settings: Sampling) -> Sequence[Marks]:
        """The formats of thoughts that the texts of `generate` may have, one each."""
        return ()

    def split_thoughts(self, results: pl.DataFrame, settings: Sampling) -> pl.DataFrame:
        """Take results of `generate` apart, as the memo keeps them: see
        `prefdata.messages.thoughts.split_thoughts`."""
        return split_thoughts(results, self.list_formats(settings))

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

        The states are h(x, y<k) for k = 1..|y|, at the positions from the last prompt token to the
        second-to-last token of y (arXiv 2410.08847, Definition 2). If the response is finished, y
        ends with the end-of-turn token. The sum and the last state have shape (hidden size,).
        """
        raise NotImplementedError

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """The rewards of the whole, ended response: one number per output of the model's head."""
        raise NotImplementedError
