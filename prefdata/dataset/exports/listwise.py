"""Ranked lists of responses, for losses over whole lists."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import ClassVar, Generic, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import ExportBucket, Formatted
from prefdata.dataset.exports.conversations import (
    Conversational,
    ConversationalConfig,
    stack_sides,
)
from prefdata.records.base import JsonText, Record
from prefdata.records.preference import Turn, TurnT

_DETAILS = {
    "cycle": "The prompt's pairs prefer its responses in a circle.",
    "open_order": "The prompt's pairs leave open which of two responses is better: take the "
    "strategy all_above_margin or adjacent_ranks, or set `open_order: by_reward`.",
}


class RankedColumns(Record, Generic[TurnT]):
    """The columns of a row: a prompt, and responses from best to worst."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id",)

    prompt: list[TurnT] = Field(description="The prompt's turns, the last of them to be answered.")
    responses: list[list[TurnT]] = Field(
        description="The responses, the best first, each one assistant turn."
    )
    scores: list[float] | None = Field(
        description="The mean reward of each; null where some response has none."
    )
    prompt_id: str = Field(description="Content id of the prompt.")
    response_ids: list[str] = Field(description="The responses' ids; see Response.")
    policies: list[str] = Field(description="The policies that they are of.")
    source: str = Field(description="Where the prompt comes from.")


class RankedResponses(RankedColumns[Turn]):
    """One row where messages are role and content."""


class StructuredRankedResponses(RankedColumns[JsonText]):
    """One row where some prompt or response has tools, calls or thoughts; see
    StructuredPreference."""

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )


class ListwiseConfig(ConversationalConfig):
    kind: Literal["listwise"] = "listwise"
    open_order: Literal["drop", "by_reward"] = Field(
        "drop",
        description="Where a prompt's pairs leave open which of two responses is better: drop the "
        "prompt, or put the one of the higher mean reward first.",
    )


class Listwise(Conversational):
    """A prompt's responses from best to worst, for LiPO (arXiv 2402.01878) and PRO (arXiv
    2306.17492), in the order that its pairs imply, such as those of the strategies
    all_above_margin and adjacent_ranks.

    A prompt whose pairs go in a circle is dropped, and so is one whose pairs leave the order open.
    """

    config: ListwiseConfig
    record = RankedResponses
    usage = (
        'row = dataset["train"][0]\n'
        'row["responses"], row["scores"]  # from best to worst, for a loss over lists'
    )
    structured = StructuredRankedResponses
    conversations = ("prompt", "responses")
    unit = "prompts"
    cannot_carry = "How sure each comparison is, who judged it, and the margins between responses."

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        stacked = stack_sides(bucket.pairs)
        orders = self._find_orders(bucket.pairs, stacked)
        kept = orders.filter(pl.col("reason").is_null())
        places = kept.explode("order").select(
            "prompt_id", response_id="order", place=pl.int_range(pl.len()).over("prompt_id")
        )
        texts = (pl.col(name) for name in ("text", "thoughts", "tool_calls"))
        each = (
            _average_rewards(stacked)
            .join(places, on=["prompt_id", "response_id"])
            .sort("prompt_id", "place")
            .with_columns(prompt=self.write_prompt(), response=self.write_response(*texts))
        )
        rows = each.group_by("prompt_id", maintain_order=True).agg(
            pl.col("prompt", "tools", "source", "split").first(),
            responses="response",
            scores="reward",
            response_ids="response_id",
            policies="policy",
        )
        whole = pl.col("scores").list.eval(pl.element().is_null()).list.any().not_()
        dropped = orders.drop_nulls("reason").select(
            "prompt_id", "reason", detail=pl.col("reason").replace_strict(_DETAILS)
        )
        carried = bucket.pairs.join(rows, on="prompt_id", how="semi")["pair_id"]
        return Formatted(
            rows.with_columns(scores=pl.when(whole).then("scores")),
            dropped,
            units_in=orders.height,
            pair_ids=carried,
        )

    def _find_orders(self, pairs: pl.DataFrame, stacked: pl.DataFrame) -> pl.DataFrame:
        """Of each prompt the `order` of its responses, the best first, or the `reason` why there
        is none."""
        by_reward = self.config.open_order == "by_reward"
        averaged = _average_rewards(stacked)
        rewards = dict(averaged.select("response_id", "reward").iter_rows())
        grouped = pairs.group_by("prompt_id").agg("chosen_id", "rejected_id").sort("prompt_id")
        found = []
        for prompt, chosen, rejected in grouped.iter_rows():
            order, reason = order_responses(
                list(zip(chosen, rejected, strict=True)), rewards if by_reward else {}
            )
            found.append((prompt, order, reason))
        texts = pl.List(pl.String())
        schema = pl.Schema({"prompt_id": pl.String(), "order": texts, "reason": pl.String()})
        return pl.DataFrame(found, schema=schema, orient="row")


def order_responses(
    pairs: Sequence[tuple[str, str]], rewards: dict[str, float | None]
) -> tuple[list[str] | None, str | None]:
    """(the responses from best to worst, None), or (None, why there is no such order).

    Args:
        pairs: (the better, the worse) of each pair.
        rewards: What decides where the pairs leave an order open; empty: nothing does.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for better, worse in pairs:
        sorter.add(worse, better)
    try:
        sorter.prepare()
    except CycleError:
        return None, "cycle"
    order: list[str] = []
    ready = list(sorter.get_ready())
    while ready:
        known = {name: rewards[name] for name in ready if rewards.get(name) is not None}
        if len(ready) > 1 and len({*known.values()}) < len(ready):
            return None, "open_order"
        best = max(ready, key=lambda name: known.get(name) or 0.0)
        order.append(best)
        ready.remove(best)
        sorter.done(best)
        ready += sorter.get_ready()
    return order, None


def _average_rewards(stacked: pl.DataFrame) -> pl.DataFrame:
    """One row for each response, with its mean reward over the pairs."""
    return (
        stacked.group_by("prompt_id", "response_id", maintain_order=True)
        .agg(pl.exclude("reward", "pair_id", "label").first(), pl.col("reward").mean().round(12))
        .sort("prompt_id", "response_id")
    )
