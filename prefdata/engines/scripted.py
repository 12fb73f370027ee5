"""The scripted engine: a fake model for tests, benchmarks and dry runs of a flow.

It supports every operation. Its response depends on the request's key alone, so the same request
always has the same response. `options` of the model in params.yaml:

    models:
      policy:
        engine: scripted
        model: any-name                 # goes into the fingerprint
        options:
          responses: {"2 + 2": "4"}     # a prompt that contains the text gets this response, which
                                        # may call tools in <tool_call>…</tool_call>
          response_chars: 1000          # length of the other responses
          fail: ["poison"]              # a request that contains the text fails, alone
          latency_seconds: 0.0          # a batch of 1,000 requests takes this long
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.engines.base import (
    Engine,
    LoglikelihoodSettings,
    Operation,
    Options,
    Sampling,
    Settings,
    results,
)
from prefdata.engines.call_formats import choose_call_format
from prefdata.engines.config import EngineOptions, ModelConfig
from prefdata.engines.fingerprint import fingerprint_settings
from prefdata.engines.marks import read_marks
from prefdata.messages.marks import Marks
from prefdata.messages.tool_calls import CallFormat
from prefdata.parts.numbers import Real, Whole

BATCH = 1000
_WORDS = (
    "the answer of a careful model weighs what was asked against what it knows and says so "
    "plainly while another wanders off into lists that nobody wanted to read in the first place "
    "because length is easily mistaken for merit and a number for a reason by those who label "
)
_CORPUS = " ".join(_WORDS.split()[i * 7 % 48] for i in range(4000))


class ScriptedOptions(EngineOptions):
    """`options` of a model with `engine: scripted`."""

    responses: dict[str, str] = Field(
        {},
        description="Text -> response: a prompt that contains the text gets this response.",
        examples=[{"2 + 2": "4"}],
    )
    response_chars: Whole = Field(
        200, gt=0, le=10_000, description="The length of other responses.", examples=[7]
    )
    fail: list[str] = Field(
        [],
        description="A request that contains one of these texts fails, and no other.",
        examples=[["poison"]],
    )
    latency_seconds: Real = Field(
        0.0, ge=0, le=3_600, description="The time that a batch of 1,000 requests takes."
    )
    dimension: Whole = Field(
        16, gt=0, le=65_536, description="The length of embeddings and hidden states.", examples=[3]
    )


class ScriptedConfig(ModelConfig):
    """A fake model, for tests, benchmarks and dry runs."""

    engine: Literal["scripted"] = "scripted"
    model: str = Field(description="Any name; part of the fingerprint.", examples=["another-name"])
    options: ScriptedOptions = ScriptedOptions()

    engine_class = "prefdata.engines.scripted:ScriptedEngine"
    example: ClassVar[Mapping[str, Any]] = {"model": "any-name"}
    asks_again = frozenset(
        {
            "model",
            "chat_template_kwargs",
            "options.responses",
            "options.response_chars",
            "options.dimension",
        }
    )


class ScriptedEngine(Engine):
    """Returns texts and numbers that depend on a request's key alone."""

    structures = frozenset({"choice"})
    gives_indicators = True
    replicable = True

    def __init__(self, name: str, config: ScriptedConfig) -> None:
        self.name = name
        self.options = config.options
        self.formats = read_marks(config) or ()
        responding = self.options.model_dump(exclude={"latency_seconds", "fail"})
        counting = ScriptedConfig(
            model=config.model,
            options=ScriptedOptions(**responding),
            chat_template_kwargs=config.chat_template_kwargs,
        )
        self.fingerprint = fingerprint_settings(counting)
        self.config = config

    def call_format(self) -> CallFormat | None:
        return choose_call_format(self.config, "hermes")

    def list_formats(self, settings: Sampling) -> Sequence[Marks]:
        return self.formats

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        for batch, numbers in self._batches(rows):
            size = self.options.response_chars
            texts = [_CORPUS[n % 9973 : n % 9973 + size] for n in numbers.tolist()]
            if settings.structure and settings.structure.choice:
                choice = settings.structure.choice
                texts = [choice[n % len(choice)] for n in numbers.tolist()]
            if self.options.responses:
                texts = self._replace_scripted(batch, texts)
            n_tokens = _count_tokens(pl.Series(texts, dtype=pl.String))
            yield self._results(
                "generate",
                batch,
                text=texts,
                n_tokens=n_tokens.clip(upper_bound=settings.max_tokens),
                finish_reason=["stop"] * batch.height,
                cumulative_logprob=-((numbers % 1000) / 10.0),
                **_measure_indicators(numbers, settings.indicator_top_k),
            )

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        for batch, numbers in self._batches(rows):
            n_tokens = _count_tokens(batch["completion"])
            logprobs = pl.Series(-((numbers % 1000) / 10.0))
            each = pl.DataFrame({"each": logprobs / n_tokens, "n": n_tokens}).select(
                pl.when(settings.per_token).then(pl.col("each").repeat_by("n"))
            )
            yield self._results(
                "loglikelihood",
                batch,
                logprob=logprobs,
                n_tokens=n_tokens,
                token_logprobs=each.to_series(),
            )

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        for batch, numbers in self._batches(rows):
            shifts = np.arange(len(settings.options), dtype=np.uint64) * np.uint64(8)
            weights = 1.0 + (numbers[:, None] >> shifts[None, :]) % np.uint64(255)
            logprobs = np.log(weights / weights.sum(axis=1, keepdims=True))
            yield self._results("choose", batch, logprobs=_lists(logprobs, pl.Float64()))

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        for batch, numbers in self._batches(rows):
            vectors = self._vectors(numbers)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield self._results("embed", batch, embedding=_lists(vectors, pl.Float32()))

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        for batch, numbers in self._batches(rows):
            last = self._vectors(numbers)
            n_tokens = _count_tokens(batch["completion"])
            sums = last * n_tokens.to_numpy()[:, None].astype(np.float32)
            yield self._results(
                "hidden_sums",
                batch,
                hidden_sum=_lists(sums, pl.Float32()),
                last_hidden=_lists(last, pl.Float32()),
                n_tokens=n_tokens,
            )

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        for batch, numbers in self._batches(rows):
            rewards = self._vectors(numbers)[:, :1].astype(np.float64)
            yield self._results("reward", batch, rewards=_lists(rewards, pl.Float64()))

    def _batches(self, rows: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        """Slices of the rows, each with one 64-bit number per row, taken from its key."""
        for batch in rows.iter_slices(BATCH):
            if self.stopping.is_set():
                return
            if self.options.latency_seconds:
                time.sleep(self.options.latency_seconds)
            keys = b"".join(key[:8] for key in batch["key"].to_list())
            yield batch, np.frombuffer(keys, dtype=np.uint64)

    def _vectors(self, numbers: np.ndarray) -> np.ndarray:
        steps = np.arange(1, self.options.dimension + 1, dtype=np.uint64)
        mixed = numbers[:, None] * (steps * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1))
        return (((mixed >> np.uint64(40)) / 2.0**24) - 0.5).astype(np.float32)

    def _replace_scripted(self, batch: pl.DataFrame, texts: list[str]) -> list[str]:
        for position, text in enumerate(_join_texts(batch).to_list()):
            # Sorted, because the order in params.yaml is not part of the fingerprint.
            for pattern, response in sorted(self.options.responses.items()):
                if pattern in text:
                    texts[position] = response
        return texts

    def _results(self, operation: Operation, batch: pl.DataFrame, **columns: Any) -> pl.DataFrame:
        tokens = _count_prompt_tokens(batch)
        frame = results(operation, batch["key"], **columns, n_prompt_tokens=tokens)
        if not self.options.fail:
            return frame
        hit = _join_texts(batch).str.contains_any(self.options.fail)
        return frame.with_columns(
            pl.when(~hit).then(pl.exclude("key", "error")),
            error=pl.when(hit).then(pl.lit("model_error: scripted failure")),
        )


def _measure_indicators(numbers: np.ndarray, top_k: int) -> dict[str, np.ndarray]:
    """A mass in [0.5, 1), and an entropy up to that of k equal shares."""
    if not top_k:
        return {}
    fraction = (numbers % 499) / 499
    return {"top_k_entropy": fraction * np.log(top_k), "top_k_mass": 0.5 + fraction / 2}


def _join_texts(batch: pl.DataFrame) -> pl.Series:
    """All text of each request, for matching."""
    if "text" in batch.columns:
        return batch["text"]
    contents = pl.col("messages").list.eval(pl.element().struct.field("content")).list.join("\n")
    extra = [pl.col("completion")] if "completion" in batch.columns else []
    return batch.select(pl.concat_str([contents, *extra], separator="\n")).to_series()


def _count_prompt_tokens(batch: pl.DataFrame) -> pl.Series:
    """The number of tokens of each request, at four bytes each: it is cheap, because the texts
    themselves, by far the largest data of a flow, are not read."""
    size = pl.element().struct.field("content").str.len_bytes()
    if "text" in batch.columns:
        sizes = [pl.col("text").str.len_bytes()]
    else:
        sizes = [pl.col("messages").list.eval(size).list.sum()]
    if "completion" in batch.columns:
        sizes.append(pl.col("completion").str.len_bytes())
    return batch.select(pl.sum_horizontal(sizes).cast(pl.Int64) // 4 + 1).to_series()


def _count_tokens(texts: pl.Series) -> pl.Series:
    """The number of words of each text, plus one for the end of the turn."""
    return texts.str.count_matches(" ", literal=True).cast(pl.Int64) + 2


def _lists(matrix: np.ndarray, inner: pl.DataType) -> pl.Series:
    kind = pl.Float32 if inner == pl.Float32() else pl.Float64
    return pl.Series(matrix.astype(np.float32 if kind is pl.Float32 else np.float64)).cast(
        pl.List(kind)
    )
