"""Near-duplicate prompts: of a group, the prompt with the most decided pair stays.

MinHash over the prompts' word trigrams (minhash.py), across all buckets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.filters.base import Filter, FilterConfig, Texts, no_fault
from prefdata.filters.minhash import groups, signature
from prefdata.inference.loop import Inference


class NearDuplicatePromptsConfig(FilterConfig):
    max_similarity: float = Field(0.8, gt=0, le=1)


class NearDuplicatePrompts(Filter):
    """See the module."""

    kind = "near_duplicate_prompts"
    config_model = NearDuplicatePromptsConfig
    config: NearDuplicatePromptsConfig
    across_buckets = True
    prompt_reasons = frozenset({"near_duplicate_prompt"})

    def measure(self, pairs: pl.DataFrame, texts: Texts, inference: Inference) -> pl.DataFrame:
        contents = pl.col("messages").list.eval(pl.element().struct.field("content"))
        prompts = texts.prompts.join(pairs, on="prompt_id", how="semi").select(
            "prompt_id", text=contents.list.join("\n")
        )
        signed = prompts.select(
            "prompt_id",
            signature=pl.Series([signature(t).tobytes() for t in prompts["text"]], dtype=pl.Binary),
        )
        return pairs.with_columns(no_fault()).join(
            signed, on="prompt_id", how="left", maintain_order="left"
        )

    def summarize(self, measured: pl.DataFrame) -> pl.DataFrame:
        return measured.group_by("prompt_id").agg(
            pl.col("soft_label").max(), pl.col("signature").first()
        )

    def merge(self, summaries: Sequence[pl.DataFrame]) -> pl.DataFrame:
        # The best first: of each group the first member is the one that stays.
        rows = pl.concat(summaries).sort(["soft_label", "prompt_id"], descending=[True, False])
        signatures = [np.frombuffer(s, dtype=np.uint64) for s in rows["signature"]]
        winners = groups(signatures, self.config.max_similarity)
        return rows.select("prompt_id", winner=rows["prompt_id"].gather(winners)).filter(
            pl.col("prompt_id") != pl.col("winner")
        )

    def decide(self, measured: pl.DataFrame, summary: pl.DataFrame | None) -> pl.DataFrame:
        assert summary is not None
        joined = measured.drop("signature").join(
            summary, on="prompt_id", how="left", maintain_order="left"
        )
        return joined.with_columns(
            reason=pl.when(pl.col("winner").is_not_null()).then(pl.lit("near_duplicate_prompt")),
            detail=pl.format("like prompt {}, which stays", "winner"),
        ).drop("winner")
