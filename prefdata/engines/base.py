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
| loglikelihood      | messages, completion, finished | logprob (sum, nats), n_tokens,              |
|             |                                | token_logprobs (nats; null unless asked)    |
| choose      | messages                       | logprobs (one an option, nats)              |
| embed       | text                           | embedding (float32, unit length)            |
| hidden_sums | messages, completion, finished | hidden_sum, last_hidden (float32), n_tokens |
| reward      | messages, completion           | rewards (one an output of the model's head) |

`messages` is a list of {role, content}; `finished` says that the response ended its turn, so the
end-of-turn token belongs to it. `n_tokens` counts the response's tokens. Every result also has
`n_prompt_tokens`, the tokens that the model was given to read for it: the prompt's, in score and
hidden_sums the completion's too, in choose the prompt's and the option's for each option of several
tokens. An `error` starts with a short code: too_long, refused, timeout, server_error, bad_response or
model_error, and a colon.
"""

from __future__ import annotations

import threading
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prefdata.errors import ModelError

Operation = Literal["generate", "loglikelihood", "choose", "embed", "hidden_sums", "reward"]

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

GRACE_SECONDS = 10.0
"""How long an engine may take to finish what is in flight once its run is asked to stop."""


class Settings(BaseModel):
    """What is the same for all requests of a call; part of every request's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Structure(Settings):
    """What every response must be: exactly one of the fields."""

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


class LoglikelihoodSettings(Settings):
    """What `loglikelihood` gives beside the sum."""

    per_token: bool = Field(False, description="Fill token_logprobs.")


class Options(Settings):
    """The options among which `choose` weighs, each a string of one token ("A") or several.

    An option's log p is that of its whole token sequence after the prompt; they need not sum to 1.
    """

    options: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=2)


@dataclass(frozen=True)
class Call:
    """An operation and its settings: what is asked of a model, whatever the requests."""

    operation: Operation
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Requirement:
    """What a stage or a part will ask of a model: one of `calls`, the best first.

    The first call that the model's engine can do is what will be asked. `remedy` is said where it
    can do none of them.
    """

    model: str
    calls: tuple[Call, ...]
    remedy: str = ""

    @classmethod
    def of(cls, model: str, operation: Operation, settings: Settings | None = None) -> Requirement:
        """A requirement that one call alone meets."""
        return cls(model, (Call(operation, settings or Settings()),))

    def resolve(self, engines: Mapping[str, Engine]) -> Call:
        """The first call that the model's engine can do. Raises ModelError where it can do none."""
        engine = engines[self.model]
        reasons = []
        for call in self.calls:
            reason = engine.refusal(call.operation, call.settings)
            if reason is None:
                return call
            reasons.append(f"model {engine.name}: {reason}")
        remedy = self.remedy or (
            "Name another model for this stage, or another engine for this model."
        )
        raise ModelError("; ".join(dict.fromkeys(reasons)), remedy)


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
    "loglikelihood": OperationSpec(
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

    `fingerprint` names everything about the model that changes its responses (weights, tokenizer,
    chat template, dtype, the engine itself) and is known before `start`, so that a run whose
    calls are all in the memo never loads the model.
    """

    name: str
    fingerprint: str
    structures: ClassVar[frozenset[str]] = frozenset()
    """The fields of `Structure` that the engine can hold responses to."""
    concurrent: ClassVar[bool] = False
    """Whether several threads may ask at once, each on its own rows. Where they may not, buckets
    that are worked on side by side wait for one another."""
    retries: int = 0
    """Requests sent again that nobody has counted yet."""
    stopping: threading.Event = threading.Event()
    """Set when the run that the engine belongs to is asked to stop (Ctrl-C, SIGTERM); whoever
    makes the engine puts the run's own event here.

    An engine looks at it before it takes up more rows. Once it is set the engine finishes what is
    in flight, in at most GRACE_SECONDS, yields that and returns; rows that were never taken up, or
    were given up then, yield nothing.
    """

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
        """Sample one response a row, seeded by the row's key."""
        raise NotImplementedError

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        """log p of the given completion, summed over its tokens; one a token too if asked."""
        raise NotImplementedError

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        """log p of each option as the response, from the logits: no text has to be parsed."""
        raise NotImplementedError

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """One vector a text."""
        raise NotImplementedError

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """Sum of the last-layer hidden states that predict the completion's tokens.

        h(x, y<k) for k = 1..|y|: from the last prompt token to the last but one token of y,
        the end-of-turn token being y's last where the response is finished (arXiv 2410.08847,
        Definition 2).
        """
        raise NotImplementedError

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        """What a reward model gives the whole, ended response: one number an output of its head."""
        raise NotImplementedError


def request_key_seed(key: bytes) -> int:
    """The seed that belongs to a request's key, 63 bits."""
    return int.from_bytes(key[:8], "little") >> 1
