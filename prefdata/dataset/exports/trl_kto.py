"""The unpaired form of TRL's KTOTrainer."""

from __future__ import annotations

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

_RESPONSE = ["prompt_id", "response_id"]


class UnpairedColumns(Record, Generic[TurnT]):
    """The columns of a row: a response and whether it is desired.

    Sorted by the response's id, which is a digest: neighbours are unrelated, as KTO's estimate of
    the KL term wants them, which takes a row's completion to be one to the row before.
    """

    sort_by: ClassVar[tuple[str, ...]] = ("response_id",)

    prompt: list[TurnT] = Field(description="The prompt's turns, the last of them to be answered.")
    completion: list[TurnT] = Field(description="The response, one assistant turn.")
    label: bool = Field(description="Whether the response is desired.")
    prompt_id: str = Field(description="Content id of the prompt.")
    response_id: str = Field(description="The response's id; see Response.")
    source: str = Field(description="Where the prompt comes from.")
    policy: str | None = Field(
        description="The policy that the response is of; null: a rated one that came with the "
        "prompt, of no known author."
    )
    reward: float | None = Field(
        description="Mean reward of the response; null where no judge gives one."
    )


class UnpairedResponse(UnpairedColumns[Turn]):
    """One row where messages are role and content."""


class StructuredUnpairedResponse(UnpairedColumns[JsonText]):
    """One row where some prompt or response has tools, calls or thoughts; see
    StructuredPreference."""

    tools: str | None = Field(
        description="The prompt's tools as JSON text; see Prompt. null: none."
    )


class TrlKtoConfig(ConversationalConfig):
    kind: Literal["trl_kto"] = "trl_kto"
    made_of: Literal["pairs", "thumbs"] = Field(
        "pairs",
        description="pairs: the chosen responses are desired, the rejected ones are not; thumbs: "
        "the prompts' annotations of the kind thumb say it, without any comparison.",
    )
    labels: Literal["both", "rejected"] = Field(
        "both",
        description="Which responses to write; rejected: those that are not desired alone, for "
        "D²O (arXiv 2403.03419).",
    )


class TrlKto(Conversational):
    """Responses with a label for TRL's KTOTrainer (arXiv 2402.01306), each once.

    A response that is chosen in one pair and rejected in another is dropped, and so is one with as
    many thumbs up as down. Rows are ordered by a digest and not by prompt: the trainer's KL term is
    estimated from neighbours, so do not sort them.
    """

    config: TrlKtoConfig
    record = UnpairedResponse
    usage = (
        "from trl import KTOTrainer  # rows are in an order that it needs: do not sort them\n"
        'KTOTrainer("your/model", train_dataset=dataset["train"]).train()'
    )
    structured = StructuredUnpairedResponse
    conversations = ("prompt", "completion")
    unit = "responses"
    needs = frozenset({"prompts"})
    cannot_carry = "Which response was compared with which, how surely, and who judged."

    @property
    def takes_pairs(self) -> bool:
        return self.config.made_of == "pairs"

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        stacked = stack_sides(bucket.pairs)
        each = count_votes(stacked if self.takes_pairs else _list_thumbs(bucket.prompts))
        up, n = pl.col("up"), pl.col("n")
        if self.takes_pairs:
            torn, reason = up.is_between(0, n, closed="none"), "chosen_and_rejected"
            detail = "Chosen in {} of {} pairs."
        else:
            torn, reason, detail = up * 2 == n, "tie", "{} of {} thumbs are up."
        desired = up * 2 > n
        unwanted = desired & (self.config.labels == "rejected")
        why = pl.when(torn).then(pl.lit(reason)).when(unwanted).then(pl.lit("desired"))
        each = each.with_columns(label=desired, reason=why)
        dropped = each.drop_nulls("reason").select(
            *_RESPONSE, "reason", detail=pl.format(detail, "up", "n")
        )
        rows = each.filter(pl.col("reason").is_null()).with_columns(
            prompt=self.write_prompt(),
            completion=self.write_response(*map(pl.col, ("text", "thoughts", "tool_calls"))),
        )
        carried = stacked.join(rows, on=_RESPONSE, how="semi")["pair_id"].unique()
        return Formatted(rows, dropped, units_in=each.height, pair_ids=carried)


def count_votes(found: pl.DataFrame) -> pl.DataFrame:
    """One row for each response, with the number `n` of its labels, and `up` of those that are
    true."""
    return (
        found.group_by(_RESPONSE, maintain_order=True)
        .agg(
            pl.exclude("label", "reward", "pair_id").first(),
            pl.col("reward").mean(),
            n=pl.len(),
            up=pl.col("label").sum().cast(pl.Int64),
        )
        .sort(_RESPONSE)
    )


def _list_thumbs(prompts: pl.DataFrame) -> pl.DataFrame:
    """A row for each thumb of a response, as `stack_sides` has them of pairs."""
    shared = ["prompt_id", "messages", "tools", "source", "split"]
    annotation, response = pl.col("annotations").struct, pl.col("responses").struct
    thumbs = (
        prompts.select("prompt_id", "annotations")
        .explode("annotations", empty_as_null=False)
        .filter(annotation.field("kind") == "thumb")
        .select(
            "prompt_id",
            response_id=annotation.field("responses"),
            label=annotation.field("values"),
        )
        .explode("response_id", "label", empty_as_null=False)
        .with_columns(label=pl.col("label") > 0.5)
    )
    texts = (
        prompts.select(*shared, "responses")
        .explode("responses", empty_as_null=False)
        .select(
            *shared,
            *(response.field(name) for name in ("response_id", "text", "thoughts", "tool_calls")),
            policy=response.field("model"),
            reward=pl.lit(None, pl.Float64),
        )
    )
    return texts.join(thumbs, on=_RESPONSE)
