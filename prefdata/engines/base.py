"""The contract of an engine.

An engine takes thousands of requests at once, as the rows of a polars frame with a `key` column,
and yields finished results as frames, in any order, as soon as they are done: each yielded frame
is committed to the memo, so work that was yielded is never asked for again. A request that can't
be answered comes back with its reason in `error`, and never takes others with it.

| operation   | request columns                | result columns                              |
|-------------|--------------------------------|---------------------------------------------|
| generate    | messages, sample_index         | text, n_tokens, finish_reason,              |
|             |                                | cumulative_logprob (nats, at temperature 1; |
|             |                                | null from a server without log-probs)       |
| score       | messages, completion, finished | logprob (sum, nats), n_tokens,              |
|             |                                | token_logprobs (nats; null unless asked)    |
| choose      | messages                       | logprobs (one an option, nats)              |
| embed       | text                           | embedding (float32, unit length)            |
| hidden_sums | messages, completion, finished | hidden_sum, last_hidden (float32), n_tokens |
| reward      | messages, completion           | rewards (one an output of the model's head) |

`messages` is a list of {role, content}; `finished` says that the answer ended its turn, so the
end-of-turn token belongs to it. `n_tokens` counts the answer's tokens. Every result also has
`n_prompt_tokens`, the tokens that the model was given to read for it: the prompt's, in score and
hidden_sums the completion's too, in choose the prompt's and the option's for each option of several
tokens. An `error` starts with a short code: too_long, refused, timeout, server_error, bad_answer or
model_error, and a colon.
"""

from __future__ import annotations

import threading
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prefdata.errors import ModelError

Operation = Literal["generate", "score", "choose", "embed", "hidden_sums", "reward"]

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

STOPPING = threading.Event()
"""Set, for the whole process, when the run is asked to stop (Ctrl-C, SIGTERM).

An engine looks at it before it takes up more rows. Once it is set the engine finishes what is in
flight, in at most GRACE_SECONDS, yields that and returns; rows that were never taken up, or were
given up then, yield nothing.
"""

GRACE_SECONDS = 10.0


class Settings(BaseModel):
    """What is the same for all requests of a call; part of every request's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Structure(Settings):
    """What every answer must be: exactly one of the fields."""

    json_schema: str | None = Field(None, description="A JSON Schema, as JSON text.")
    regex: str | None = None
    choice: tuple[str, ...] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Structure:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"set exactly one of json_schema, regex and choice; found {found}")
        return self


class Sampling(Settings):
    """How to sample. The seed of a request comes from its key, `seed` being one part of that."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = Field(512, gt=0)
    stop: tuple[str, ...] = ()
    seed: int = 0
    structure: Structure | None = None


class Scoring(Settings):
    """What `score` gives beside the sum."""

    per_token: bool = Field(False, description="Fill token_logprobs.")


class Options(Settings):
    """The options among which `choose` weighs, each a string of one token ("A") or several.

    An option's log p is that of its whole token sequence after the prompt; they need not sum to 1.
    """

    options: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=2)


Need = tuple[str, Operation] | tuple[str, Operation, Settings]
"""What a stage will ask: (model's name in params.yaml, operation, settings where they matter)."""


@dataclass(frozen=True)
class AnyOf:
    """Needs of which one is enough: the first that its engine meets is what will be asked.

    `remedy` is said where no engine meets any of them.
    """

    needs: tuple[Need, ...]
    remedy: str


Wanted = Need | AnyOf


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
    "score": OperationSpec(
        _ANSWER,
        {
            "logprob": pl.Float64(),
            "n_tokens": pl.Int64(),
            "token_logprobs": pl.List(pl.Float64()),
        },
    ),
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
    "reward": OperationSpec(("messages", "completion"), {"rewards": pl.List(pl.Float64())}),
}


def result_schema(operation: Operation) -> pl.Schema:
    """The columns of a result frame: key, the operation's own, n_prompt_tokens, error."""
    own = OPERATIONS[operation].result
    shared = {"n_prompt_tokens": pl.Int64(), "error": pl.String()}
    return pl.Schema({"key": pl.Binary(), **own, **shared})


def results(
    operation: Operation, keys: Sequence[bytes] | pl.Series, **columns: Any
) -> pl.DataFrame:
    """A result frame, one row a key; columns that are not named are null in every row.

    Columns are lists, polars series, or arrays with one row a key.
    """
    given = {"key": pl.Series("key", keys, dtype=pl.Binary)}
    given |= {name: pl.Series(name, values, strict=False) for name, values in columns.items()}
    count = len(given["key"])
    # Series by series: a query would hand the interpreter's lock on and wait for it each time.
    found = {
        name: given[name].cast(kind) if name in given else pl.Series([None], dtype=kind)
        for name, kind in result_schema(operation).items()
    }
    return pl.DataFrame(
        [
            (each if name in given else each.new_from_index(0, count)).alias(name)
            for name, each in found.items()
        ]
    )


def error_code(error: pl.Expr) -> pl.Expr:
    """The code that an error starts with, model_error where it has none."""
    return error.str.extract(r"^([a-z_]+): ", 1).fill_null("model_error")


class Engine(ABC):
    """A model and what runs it. Making one is cheap; `start` loads the weights.

    `fingerprint` names everything about the model that changes its answers (weights, tokenizer,
    chat template, dtype, the engine itself) and is known before `start`, so that a run whose
    calls are all in the memo never loads the model.
    """

    name: str
    fingerprint: str
    structures: ClassVar[frozenset[str]] = frozenset()
    """The fields of `Structure` that the engine can hold answers to."""
    concurrent: ClassVar[bool] = False
    """Whether several threads may ask at once, each on its own rows. Where they may not, buckets
    that are worked on side by side wait for one another."""
    retries: int = 0
    """Requests sent again that nobody has counted yet."""

    def take_retries(self) -> int:
        """Requests sent again since the last call. Each is counted once, whoever asks when."""
        taken = self.retries
        self.retries -= taken
        return taken

    def start(self) -> None:
        """Load the model. Raises ModelError with the setting to change. Safe to call again."""

    def close(self) -> None:
        """Give back what `start` took: processes, GPU memory, connections. Safe to call twice;
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
        return f"its engine can't hold answers to a structure ({unable})" if unable else None

    def require(self, operation: Operation, settings: Settings | None = None) -> None:
        """Raise ModelError where the engine refuses."""
        reason = self.refusal(operation, settings)
        if reason is not None:
            raise ModelError(
                f"model {self.name}: {reason}",
                "Name another model for this stage, or another engine for this model.",
            )

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        """Sample one answer a row, seeded by the row's key."""
        raise NotImplementedError

    def score(self, rows: pl.DataFrame, settings: Scoring) -> Iterator[pl.DataFrame]:
        """log p of the given completion, summed over its tokens; one a token too if asked."""
        raise NotImplementedError

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        """log p of each option as the answer, from the logits: no text has to be parsed."""
        raise NotImplementedError

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """One vector a text."""
        raise NotImplementedError

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """Sum of the last-layer hidden states that predict the completion's tokens.

        h(x, y<k) for k = 1..|y|: from the last prompt token to the last but one token of y,
        the end-of-turn token being y's last where the answer is finished (arXiv 2410.08847,
        Definition 2).
        """
        raise NotImplementedError

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """What a reward model gives the whole, ended answer: one number an output of its head."""
        raise NotImplementedError


def first_met(wanted: Wanted, engines: Mapping[str, Engine]) -> Need:
    """The need itself, or the first of several, that its engine meets; ModelError if none is."""
    if not isinstance(wanted, AnyOf):
        name, operation, *settings = wanted
        engines[name].require(operation, *settings)
        return wanted
    reasons = []
    for need in wanted.needs:
        name, operation, *settings = need
        reason = engines[name].refusal(operation, *settings)
        if reason is None:
            return need
        reasons.append(f"model {name}: {reason}")
    raise ModelError("; ".join(dict.fromkeys(reasons)), wanted.remedy)


def request_key_seed(key: bytes) -> int:
    """The seed that belongs to a request's key, 63 bits."""
    return int.from_bytes(key[:8], "little") >> 1
