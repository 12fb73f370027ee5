"""The form of TRL's TPOTrainer: three responses to a prompt."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field

from prefdata.comparisons.standings import list_best_first, measure_standings
from prefdata.dataset.exports.base import ExportBucket, Formatted, drop_pairs
from prefdata.dataset.exports.conversations import ConversationalConfig
from prefdata.dataset.exports.trl import Preferences
from prefdata.records.base import JsonText
from prefdata.records.preference import Preference, StructuredPreference, Turn

_OF_REFERENCE = "The response that the policy is held to, one assistant turn."

_MISSING = {
    "best_other": ("no_third_response", "The prompt has no labelled response besides the two."),
    "existing": ("no_existing_response", "No other response came with the prompt."),
    "ground_truth": ("no_ground_truth", "The prompt has no ground truth."),
}


class TriplePreference(Preference):
    """As `Preference`, with a third response."""

    reference: list[Turn] = Field(description=_OF_REFERENCE)


class StructuredTriplePreference(StructuredPreference):
    """As `StructuredPreference`, with a third response."""

    reference: list[JsonText] = Field(description=_OF_REFERENCE)


class TrlTpoConfig(ConversationalConfig):
    kind: Literal["trl_tpo"] = "trl_tpo"
    reference: Literal["best_other", "existing", "ground_truth"] = Field(
        "best_other",
        description="The third response. best_other: of the prompt's other responses that of the "
        "highest mean P(win) over the labels; existing: the same, but only among those that came "
        "with the prompt, such as a person's, labelled or not; ground_truth: the prompt's ground "
        "truth, as the response itself.",
    )


class TrlTpo(Preferences):
    """Preferences with a third response for TRL's TPOTrainer (arXiv 2405.16681), which trains on
    `reference` as on the gold response, beside chosen against rejected.

    A pair whose prompt has no third response is dropped.
    """

    config: TrlTpoConfig
    record = TriplePreference
    usage = (
        "from trl.experimental.tpo import TPOTrainer\n"
        'TPOTrainer("your/model", train_dataset=dataset["train"]).train()'
    )
    structured = StructuredTriplePreference
    conversations = (*Preferences.conversations, "reference")
    needs = frozenset({"prompts", "responses", "labels"})

    def make_rows(self, bucket: ExportBucket) -> Formatted:
        third = self._find_third(bucket)
        reason, detail = _MISSING[self.config.reference]
        made = super().make_rows(bucket)
        without = drop_pairs(made.rows.join(third, on="pair_id", how="anti"), reason, detail)
        rows = made.rows.join(third, on="pair_id", maintain_order="left")
        columns = [pl.col(f"third_{name}") for name in ("text", "thoughts", "tool_calls")]
        return Formatted(
            rows.with_columns(reference=self.write_response(*columns)),
            pl.concat([made.dropped, without], how="diagonal"),
        )

    def _find_third(self, bucket: ExportBucket) -> pl.DataFrame:
        """pair_id and the third response's third_text, third_thoughts and third_tool_calls."""
        texts = bucket.responses.select(
            "response_id", pl.col("text", "thoughts", "tool_calls").name.prefix("third_")
        )
        pairs = bucket.pairs.select("pair_id", "prompt_id", "chosen_id", "rejected_id")
        if self.config.reference == "ground_truth":
            truths = bucket.prompts.select("prompt_id", third_text="ground_truth").drop_nulls()
            empty = texts.select("third_thoughts", "third_tool_calls").clear()
            return pl.concat(
                [pairs.join(truths, on="prompt_id").select("pair_id", "third_text"), empty],
                how="diagonal",
            )
        ranked = self._rank_responses(bucket)
        other = (pl.col("response_id") != pl.col("chosen_id")) & (
            pl.col("response_id") != pl.col("rejected_id")
        )
        each = pairs.join(ranked, on="prompt_id", maintain_order="left_right").filter(other)
        first = each.unique("pair_id", keep="first", maintain_order=True)
        return first.select("pair_id", "response_id").join(texts, on="response_id")

    def _rank_responses(self, bucket: ExportBucket) -> pl.DataFrame:
        """prompt_id and response_id of those that may be the third, the best of a prompt first."""
        standings = measure_standings(bucket.labels)
        if self.config.reference == "existing":
            existing = bucket.responses.filter(pl.col("sample_index").is_null())
            standings = existing.select("prompt_id", "response_id").join(
                standings, on=["prompt_id", "response_id"], how="left"
            )
        ranked = list_best_first(standings.with_columns(pl.col("value").fill_null(-1.0)))
        return ranked.select("prompt_id", "response_id")
