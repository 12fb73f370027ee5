"""Pairs whose responses say the same in other words."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.engines.base import Requirement
from prefdata.filters.base import FilterConfig, RowFilter, Texts
from prefdata.filters.vectors.embeddings import embed_texts, unpack_vectors
from prefdata.inference.loop import Inference
from prefdata.parts.numbers import Share


class SimilarResponsesConfig(FilterConfig):
    kind: Literal["similar_responses"] = "similar_responses"
    model: str = Field("embedder", description="The embedding model.", examples=["other"])
    max_similarity: Share = Field(
        0.95,
        description="Largest cosine similarity of the responses' embeddings.",
        examples=[1.0],
    )

    asks_again = frozenset({"model"})


class SimilarResponses(RowFilter):
    """Drops pairs whose responses say the same in other words, by the cosine similarity of their
    embeddings."""

    config: SimilarResponsesConfig

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        ids = pl.concat([pairs["chosen_id"], pairs["rejected_id"]]).unique()
        rows = texts.responses.filter(pl.col("response_id").is_in(ids.implode())).select(
            "text", "prompt_id", id="response_id"
        )
        vectors = embed_texts(self.config.model, rows, inference)
        sides = [
            pairs.select(id=f"{side}_id").join(vectors, on="id", how="left", maintain_order="left")
            for side in ("chosen", "rejected")
        ]
        fault = pl.coalesce(side["fault"] for side in sides)
        embedded = sides[0]["vector"].is_not_null() & sides[1]["vector"].is_not_null()
        left, right = (unpack_vectors(side["vector"].filter(embedded)) for side in sides)
        cosine = np.full(pairs.height, np.nan)
        cosine[embedded.to_numpy()] = np.einsum("ij,ij->i", left, right) if len(left) else []
        return pairs.with_columns(fault=fault, cosine_similarity=pl.Series(cosine).fill_nan(None))

    def decide(self, measured: pl.DataFrame) -> pl.DataFrame:
        limit = self.config.max_similarity
        return measured.with_columns(
            reason=pl.when(pl.col("cosine_similarity") > limit).then(pl.lit("similar_responses")),
            detail=pl.format(
                "cosine similarity {}, max_similarity {}",
                pl.col("cosine_similarity").round(4),
                pl.lit(limit),
            ),
        )
