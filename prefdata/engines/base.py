"""The contract of an engine.

An engine takes thousands of requests at once, as the rows of a polars frame with a `key` column,
and yields finished results as frames, in any order, as soon as they are done: each yielded frame
is committed to the memo, so work that was yielded is never asked for again. A request that can't
be answered comes back with its reason in `error`, and never takes others with it.

| operation   | request columns                | result columns                              |
|-------------|--------------------------------|---------------------------------------------|
| generate    | messages, sample_index         | text, n_tokens, finish_reason,              |
|             |                                | cumulative_logprob (nats, at temperature 1) |
| score       | messages, completion, finished | logprob (sum, nats), n_tokens               |
| choose      | messages                       | logprobs (one an option, nats)              |
| embed       | text                           | embedding (float32, unit length)            |
| hidden_sums | messages, completion, finished | hidden_sum, last_hidden (float32), n_tokens |

`messages` is a list of {role, content}; `finished` says that the answer ended its turn, so the
end-of-turn token belongs to it.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from prefdata.errors import ModelError

Operation = Literal["generate", "score", "choose", "embed", "hidden_sums"]

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


class Settings(BaseModel):
    """What is the same for all requests of a call; part of every request's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(Settings):
    """How to sample. The seed of a request comes from its key, `seed` being one part of that."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = Field(512, gt=0)
    stop: tuple[str, ...] = ()
    seed: int = 0


class Options(Settings):
    """The options among which `choose` weighs, each a short string such as "A"."""

    options: tuple[str, ...] = Field(min_length=2)


@dataclass(frozen=True)
class OperationSpec:
    """The columns that go in and come out."""

    request: tuple[str, ...]
    result: dict[str, pl.DataType]


_ANSWER = ("messages", "completion", "finished")

OPERATIONS: dict[Operation, OperationSpec] = {
    "generate": OperationSpec(
        ("messages", "sample_index"),
        {
            "text": pl.String(),
            "n_tokens": pl.Int64(),
            "finish_reason": pl.String(),
            "cumulative_logprob": pl.Float64(),
        },
    ),
    "score": OperationSpec(_ANSWER, {"logprob": pl.Float64(), "n_tokens": pl.Int64()}),
    "choose": OperationSpec(("messages",), {"logprobs": pl.List(pl.Float64())}),
    "embed": OperationSpec(("text",), {"embedding": pl.List(pl.Float32())}),
    "hidden_sums": OperationSpec(
        _ANSWER,
        {
            "hidden_sum": pl.List(pl.Float32()),
            "last_hidden": pl.List(pl.Float32()),
            "n_tokens": pl.Int64(),
        },
    ),
}


def result_schema(operation: Operation) -> pl.Schema:
    """The columns of a result frame: key, the operation's own, error."""
    own = OPERATIONS[operation].result
    return pl.Schema({"key": pl.Binary(), **own, "error": pl.String()})


class Engine(ABC):
    """A model and what runs it. Making one is cheap; `start` loads the weights.

    `fingerprint` names everything about the model that changes its answers (weights, tokenizer,
    chat template, dtype, the engine itself) and is known before `start`, so that a run whose
    calls are all in the memo never loads the model.
    """

    name: str
    fingerprint: str

    def start(self) -> None:
        """Load the model. Raises ModelError with the setting to change."""

    def capabilities(self) -> frozenset[Operation]:
        """The operations this engine can do; anything else is refused before work starts."""
        return frozenset(
            op for op in OPERATIONS if getattr(type(self), op) is not getattr(Engine, op)
        )

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        """Sample one answer a row, seeded by the row's key."""
        raise self._unable("generate")

    def score(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """log p of the given completion, summed over its tokens."""
        raise self._unable("score")

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        """log p of each option as the answer, from the logits: no text has to be parsed."""
        raise self._unable("choose")

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """One vector a text."""
        raise self._unable("embed")

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """Sum of the last-layer hidden states that predict the completion's tokens.

        h(x, y<k) for k = 1..|y|: from the last prompt token to the last but one token of y,
        the end-of-turn token being y's last where the answer is finished (arXiv 2410.08847,
        Definition 2).
        """
        raise self._unable("hidden_sums")

    def _unable(self, operation: Operation) -> ModelError:
        can = ", ".join(sorted(self.capabilities()))
        return ModelError(
            f"model {self.name}: its engine can't {operation}; it can: {can}",
            "Name another model for this stage, or another engine for this model.",
        )


def request_key_seed(key: bytes) -> int:
    """The seed that belongs to a request's key, 63 bits."""
    return int.from_bytes(key[:8], "little") >> 1
