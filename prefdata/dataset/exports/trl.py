"""The preference format of TRL."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl

from prefdata.dataset.exports.base import ExportBucket, Formatted, sort_out
from prefdata.dataset.exports.conversations import SIDES, Conversational, ConversationalConfig
from prefdata.records.preference import Preference, StructuredPreference
from prefdata.statistics.odds import log_odds


class TrlConfig(ConversationalConfig):
    kind: Literal["trl"] = "trl"


class Preferences(Conversational):
    """Conversational preferences with an explicit prompt: `prompt`, `chosen` and `rejected` are
    lists of messages, the completions without the prompt; the other columns describe the pair."""

    conversations: ClassVar[tuple[str, ...]] = ("prompt", *SIDES)
    cannot_carry = (
        "The filters' figures other than CHES, and the prompt's ground truth and annotations."
    )

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        pairs, dropped = sort_out(bucket.pairs, self.list_limits())
        rows = pairs.rename({"margin": "reward_margin"}).with_columns(
            prompt=self.write_prompt(),
            # That of a loss.
            margin=log_odds(pl.col("soft_label")),
            chosen=self.write_side("chosen"),
            rejected=self.write_side("rejected"),
        )
        return Formatted(rows, dropped)

    def list_limits(self) -> dict[str, tuple[pl.Expr, str | pl.Expr]]:
        """reason -> (which pairs the rows can't hold, detail); see `sort_out`."""
        if self.config.thoughts != "drop":
            return {}
        same = (pl.col("chosen") == pl.col("rejected")) & pl.col("chosen_tool_calls").eq_missing(
            pl.col("rejected_tool_calls")
        )
        detail = f"Without thoughts chosen and rejected are the same; see {self.where}.thoughts."
        return {"same_text": (same, detail)}


class Trl(Preferences):
    """Preferences for TRL's DPO, ORPO and CPO trainers (SimPO is a loss of CPO); its messages,
    tools and thoughts are as TRL's trainers read them.

    `prompt`, `chosen` and `rejected` are lists of messages, the completions without the prompt; the
    other columns describe the pair. The difference of the rewards is `reward_margin`: a column
    `margin` would be taken for the margin of a loss.
    """

    config: TrlConfig
    record = Preference
    usage = (
        "from trl import DPOTrainer  # or ORPOTrainer, CPOTrainer of trl.experimental\n"
        'DPOTrainer("your/model", train_dataset=dataset["train"]).train()'
    )
    structured = StructuredPreference
