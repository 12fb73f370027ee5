"""The base of selections under a budget: of all prompts, or all pairs, so many stay that are
diverse together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.comparisons.sides import join_texts
from prefdata.engines.base import Requirement
from prefdata.filters.base import FilterConfig, SummaryFilter, Texts
from prefdata.filters.selection.diversity import compare_diversity
from prefdata.filters.subjects import hash_contents, select_texts
from prefdata.filters.vectors.embeddings import embed_texts, unpack_vectors
from prefdata.inference.loop import Inference
from prefdata.records.figure import Figure

_ROWS = 4096
_ID_COLUMN = {"prompts": "prompt_id", "pairs": "pair_id"}
_FIGURE = "figure: "
"""What the summary's columns of figures begin with."""


class SelectionConfig(FilterConfig):
    budget: int = Field(gt=0, description="So many prompts, or pairs, stay.", examples=[10])
    over: Literal["prompts", "pairs"] = Field(
        "prompts",
        description="What is selected: prompts with all their pairs, or pairs by their prompt and "
        "chosen response.",
        examples=["pairs"],
    )
    model: str = Field("embedder", description="The model that embeds.", examples=["other"])
    best_by: Literal["margin", "reward_chosen", "soft_label"] = Field(
        "margin",
        description="Of what is equal in diversity, the one with most of it stays.",
        examples=["soft_label"],
    )

    example: ClassVar[Mapping[str, Any]] = {"budget": 20}
    asks_again = frozenset({"model", "over"})


class Selection(SummaryFilter):
    """A filter that keeps a diverse part of all prompts or pairs.

    What the selections share: the embeddings, the order (by content, so that no table's order
    matters), the nearest one that stays, and the figures of diversity. The embeddings of all
    buckets meet in one place, at 2 bytes per number: 1 million of 384 numbers take 0.8 GB, and
    1.5 GB more while they are worked on.
    """

    config: SelectionConfig

    @abstractmethod
    def select(self, vectors: np.ndarray, quality: np.ndarray, budget: int) -> np.ndarray:
        """The rows that stay, `budget` of them, budget < n.

        Args:
            vectors: (n, d) float32, of unit length.
            quality: (n,) each one's `best_by`, -inf where it has none; of two rows that are equal
                in all the earlier one goes first.
            budget: How many stay.
        """

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        own = _ID_COLUMN[self.config.over]
        prompts = select_texts(texts.prompts)
        if self.config.over == "prompts":
            asked = prompts.with_columns(prompt_id="id").join(
                pairs.select(id="prompt_id"), on="id", how="semi", maintain_order="left"
            )
        else:
            asked = (
                join_texts(pairs, texts.responses)
                .join(prompts.rename({"id": "prompt_id"}), on="prompt_id", maintain_order="left")
                .select(
                    text=pl.concat_str("text", "chosen", separator="\n"),
                    id="pair_id",
                    prompt_id="prompt_id",
                )
            )
        vectors = embed_texts(self.config.model, asked, inference)
        vectors = vectors.with_columns(content=hash_contents(asked["text"]))
        return pairs.join(vectors, left_on=own, right_on="id", how="left", maintain_order="left")

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        return measured.group_by(id=_ID_COLUMN[self.config.over]).agg(
            pl.col("content", "vector").first(),
            quality=pl.col(self.config.best_by).max().cast(pl.Float64),
        )

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        rows = pl.concat(summaries).sort("content", "id")
        vectors = unpack_vectors(rows["vector"])
        quality = rows["quality"].fill_null(-np.inf).to_numpy()
        selected = np.arange(rows.height)
        if rows.height > self.config.budget:
            selected = np.sort(self.select(vectors, quality, self.config.budget))
        distance, nearest = find_nearest(vectors, selected)
        stays = np.zeros(rows.height, dtype=bool)
        stays[selected] = True
        figures = compare_diversity(vectors, selected)
        return rows.select(
            "id",
            stays=pl.Series(stays),
            nearest=pl.col("id").gather(selected[nearest]),
            distance=pl.Series(distance),
            **{_FIGURE + figure.name: pl.lit(figure.value) for figure in figures},
        )

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame) -> pl.DataFrame:
        selected = measured.select(id=_ID_COLUMN[self.config.over]).join(
            summary, on="id", how="left", maintain_order="left"
        )
        return measured.with_columns(
            selected.select(
                reason=pl.when(~pl.col("stays")).then(pl.lit("over_budget")),
                detail=pl.format(
                    "not among the {} of {}; {}, which stays, is at cosine distance {}",
                    pl.lit(self.config.budget),
                    pl.lit(self.kind),
                    "nearest",
                    pl.col("distance").round(4),
                ),
            )
        )

    def figures(self, summary: pl.DataFrame) -> list[Figure]:
        return [
            Figure(name=name.removeprefix(_FIGURE), value=summary[name][0])
            for name in summary.columns
            if name.startswith(_FIGURE)
        ]


def find_nearest(vectors: np.ndarray, selected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row its distance to the nearest one of `selected`, and that one's index there."""
    distance = np.empty(len(vectors))
    nearest = np.empty(len(vectors), dtype=np.int64)
    targets = vectors[selected].T
    for start in range(0, len(vectors), _ROWS):
        likeness = vectors[start : start + _ROWS] @ targets
        index = likeness.argmax(axis=1)
        nearest[start : start + _ROWS] = index
        distance[start : start + _ROWS] = 1 - likeness[np.arange(len(index)), index]
    return distance, nearest
