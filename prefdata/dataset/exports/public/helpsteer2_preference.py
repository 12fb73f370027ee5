"""The form of HelpSteer2's preferences."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted, sort_out
from prefdata.dataset.exports.plain import PlainPairs
from prefdata.dataset.exports.public.helpsteer2 import MARKED, join_turns
from prefdata.dataset.exports.public.strengths import STEPS, StrengthConfig, place_pairs
from prefdata.records.base import Record


class HelpSteer2Preference(Record):
    """One row as those of the file preference.jsonl of nvidia/HelpSteer2."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: str = Field(
        description="The prompt's turns: behind the first, each begins with <extra_id_1>, its role "
        "and a line break."
    )
    response_1: str = Field(description="The response whose id comes first in text order.")
    response_2: str = Field(description="The other response.")
    preference_strength: int = Field(
        description="-3 (response 1 is much better) to 3 (response 2 is much better); never 0."
    )
    preference_statement: str = Field(description="The preference in words.")
    preference_elaboration: str | None = Field(
        description="The rationale; null: the pair has none."
    )
    prompt_id: str = Field(description="Content id of the prompt.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected.")


class HelpSteer2PreferenceConfig(StrengthConfig):
    kind: Literal["helpsteer2_preference"] = "helpsteer2_preference"


class HelpSteer2PreferencePairs(PlainPairs):
    """Pairs with the strength of the preference, in the form of HelpSteer2."""

    config: HelpSteer2PreferenceConfig
    record = HelpSteer2Preference
    usage = 'dataset["train"]  # columns and types of the preferences of nvidia/HelpSteer2'
    system_turn = False
    file_format = "jsonl"
    one_file = True
    cannot_carry = (
        "P(chosen ≻ rejected), of which it has three steps; system turns, tools and calls, rewards "
        "and judgments; thoughts only inline."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        pairs, dropped = sort_out(pairs, MARKED)
        strength = self.config.measure_strength(pl.col("p_first"))
        better = pl.when(strength > 0).then(2).otherwise(1)
        steps = strength.abs().replace_strict(dict(enumerate(STEPS, 1)), return_dtype=pl.String)
        statement = pl.format("Response {} is {} than Response {}.", better, steps, 3 - better)
        return Formatted(
            place_pairs(pairs).select(
                "prompt_id",
                "pair_id",
                "split",
                prompt=join_turns(),
                response_1="first",
                response_2="second",
                preference_strength=strength,
                preference_statement=statement,
                preference_elaboration=pl.coalesce("rationale_specific", "rationale"),
            ),
            dropped,
        )
