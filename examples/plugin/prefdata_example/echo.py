"""An engine that repeats the prompt's last turn, louder with each sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import polars as pl

from prefdata.engines.base import Engine, Sampling, results
from prefdata.engines.config import ModelConfig


class EchoConfig(ModelConfig):
    engine: Literal["echo"] = "echo"

    engine_class = "prefdata_example.echo:EchoEngine"


class EchoEngine(Engine):
    """Sample n, counted from 1, is the prompt's last turn with n exclamation marks."""

    def __init__(self, name: str, config: EchoConfig) -> None:
        self.name = name
        self.fingerprint = f"echo-{config.model}"

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        last = pl.col("messages").list.last().struct.field("content")
        marks = pl.lit("!").repeat_by(pl.col("sample_index") + 1).list.join("")
        texts = rows.select(pl.concat_str(last, marks)).to_series()
        yield results(
            "generate",
            rows["key"],
            text=texts,
            n_tokens=texts.str.len_chars().cast(pl.Int64),
            finish_reason=["stop"] * rows.height,
            cumulative_logprob=[0.0] * rows.height,
        )
