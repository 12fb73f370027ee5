"""Selection under a budget: of all prompts, or all pairs, so many stay that are diverse together.

What the selections share: the embeddings, the order (by content, so that no table's order
matters), the nearest one that stays, and the figures of diversity. The embeddings of all buckets
meet in one place, at 2 bytes a number: 1 million of 384 numbers take 0.8 GB, and 1.5 GB more while
they are worked on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.comparisons.sides import with_texts
from prefdata.engines.base import Requirement
from prefdata.filters.base import Filter, FilterConfig, Texts
from prefdata.filters.duplicates.base import contents, identified
from prefdata.filters.selection.diversity import compared
from prefdata.filters.vectors.embedded import embedded, matrix
from prefdata.inference.loop import Inference

_ROWS = 4096
_UNIT = {"prompts": "prompt_id", "pairs": "pair_id"}


class SelectionConfig(FilterConfig):
    budget: int = Field(gt=0, description="So many prompts, or pairs, stay.")
    over: Literal["prompts", "pairs"] = Field(
        "prompts",
        description="What is selected: prompts with all their pairs, or pairs by their prompt and "
        "chosen response.",
    )
    model: str = "embedder"
    best_by: Literal["margin", "reward_chosen", "soft_label"] = Field(
        "margin", description="The score, where two are equal in diversity."
    )


class Selection(Filter):
    """A filter that keeps a diverse part of all."""

    config_model = SelectionConfig
    config: SelectionConfig
    across_buckets = True

    @abstractmethod
    def select(self, vectors: np.ndarray, scores: np.ndarray, budget: int) -> np.ndarray:
        """The rows that stay, `budget` of them, budget < n.

        `vectors` are (n, d) float32 of unit length, `scores` (n,) with -inf where there is none;
        of two rows that are equal in all the earlier one goes first.
        """

    def requirements(self) -> list[Requirement]:
        return [Requirement.of(self.config.model, "embed")]

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        own = _UNIT[self.config.over]
        prompts = identified(texts.prompts)
        if self.config.over == "prompts":
            asked = prompts.with_columns(prompt_id="id").join(
                pairs.select(id="prompt_id"), on="id", how="semi", maintain_order="left"
            )
        else:
            asked = (
                with_texts(pairs, texts.responses)
                .join(prompts.rename({"id": "prompt_id"}), on="prompt_id", maintain_order="left")
                .select(
                    text=pl.concat_str("text", "chosen", separator="\n"),
                    id="pair_id",
                    prompt_id="prompt_id",
                )
            )
        vectors = embedded(self.config.model, asked, inference)
        vectors = vectors.with_columns(content=contents(asked["text"]))
        return pairs.join(vectors, left_on=own, right_on="id", how="left", maintain_order="left")

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        return measured.group_by(id=_UNIT[self.config.over]).agg(
            pl.col("content", "vector").first(),
            score=pl.col(self.config.best_by).max().cast(pl.Float64),
        )

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        rows = pl.concat(summaries).sort("content", "id")
        vectors = matrix(rows["vector"])
        scores = rows["score"].fill_null(-np.inf).to_numpy()
        kept = np.arange(rows.height)
        if rows.height > self.config.budget:
            kept = np.sort(self.select(vectors, scores, self.config.budget))
        distance, nearest = to_nearest(vectors, kept)
        stays = np.zeros(rows.height, dtype=bool)
        stays[kept] = True
        figures = compared(vectors, kept)
        return rows.select(
            "id",
            stays=pl.Series(stays),
            nearest=pl.col("id").gather(kept[nearest]),
            distance=pl.Series(distance),
            **{_FIGURE + name: pl.lit(value) for name, value in figures.items()},
        )

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        assert summary is not None
        found = measured.select(id=_UNIT[self.config.over]).join(
            summary, on="id", how="left", maintain_order="left"
        )
        return measured.with_columns(
            found.select(
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

    def figures(self, summary: pl.DataFrame) -> dict[str, float]:
        names = [c for c in summary.columns if c.startswith(_FIGURE)]
        return {name.removeprefix(_FIGURE): summary[name][0] for name in names}


_FIGURE = "figure: "


def to_nearest(vectors: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row its distance to the nearest of `kept`, and that one's place among them."""
    distance = np.empty(len(vectors))
    nearest = np.empty(len(vectors), dtype=np.int64)
    chosen = vectors[kept].T
    for start in range(0, len(vectors), _ROWS):
        likeness = vectors[start : start + _ROWS] @ chosen
        place = likeness.argmax(axis=1)
        nearest[start : start + _ROWS] = place
        distance[start : start + _ROWS] = 1 - likeness[np.arange(len(place)), place]
    return distance, nearest
