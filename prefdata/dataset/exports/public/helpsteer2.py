"""The form of HelpSteer2's ratings."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted, sort_out
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs
from prefdata.dataset.exports.ranges import Range
from prefdata.records.base import Record

Attribute = Literal["helpfulness", "correctness", "coherence", "complexity", "verbosity"]
ATTRIBUTES = get_args(Attribute)
HIGHEST = 4
MARK = "<extra_id_1>"
"""Begins each turn of a conversation but the first."""
MARKED = {
    "mark_in_text": (
        pl.col("messages")
        .list.eval(pl.element().struct.field("content").str.contains(MARK, literal=True))
        .list.any(),
        f"A turn of the prompt holds {MARK}, by which the form tells turns apart.",
    )
}
"""The prompts that would be read as other ones; see `sort_out`."""


def join_turns() -> pl.Expr:
    """The prompt's turns in one text, as the dataset has conversations."""
    turn = pl.element().struct
    role = turn.field("role").str.to_titlecase()
    marked = pl.format(f"\n{MARK}{{}}\n{{}}", role, turn.field("content"))
    begin = f"\n{MARK}User\n"
    return pl.col("messages").list.eval(marked).list.join("").str.strip_prefix(begin)


class HelpSteer2Rating(Record):
    """One row as those of nvidia/HelpSteer2."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "response_id")

    prompt: str = Field(
        description="The prompt's turns: behind the first, each begins with <extra_id_1>, its role "
        "and a line break."
    )
    response: str = Field(description="The response.")
    helpfulness: int | None = Field(description="0 to 4; null: not rated.")
    correctness: int | None = Field(description="0 to 4; null: not rated.")
    coherence: int | None = Field(description="0 to 4; null: not rated.")
    complexity: int | None = Field(description="0 to 4; null: not rated.")
    verbosity: int | None = Field(description="0 to 4; null: not rated.")
    prompt_id: str = Field(description="Content id of the prompt.")
    response_id: str = Field(description="The response's id.")


class HelpSteer2Config(PlainConfig):
    kind: Literal["helpsteer2"] = "helpsteer2"
    rewards: Range = Field(
        description="The least and the greatest reward that the judges give, such as [1, 5]; they "
        "become 0 and 4. A pair with a reward beyond them falls out.",
        examples=[[0.0, 2.0]],
    )
    dimensions: dict[Attribute, str] = Field(
        {name: name for name in ATTRIBUTES},
        min_length=1,
        description="The attributes to write, each with the dimension of the judges that it is; a "
        "pair with a response that lacks one of them falls out, and other attributes are null.",
        examples=[{"helpfulness": "helpfulness"}],
    )
    example: ClassVar[dict[str, Any]] = {"rewards": [1.0, 5.0]}


class HelpSteer2(PlainPairs):
    """The responses of the pairs with their ratings, each once, in the form of HelpSteer2.

    A rating is the mean reward on its dimension over the judges, as a point of 0 to 4; a pair that
    lacks a rating of one of its responses falls out.
    """

    config: HelpSteer2Config
    record = HelpSteer2Rating
    usage = 'dataset["train"]  # columns and types of nvidia/HelpSteer2'
    system_turn = False
    file_format = "jsonl"
    one_file = True
    cannot_carry = (
        "Which response is better, which the form helpsteer2_preference holds; system turns, "
        "tools and calls, fractions of a point, and who rated; thoughts only inline."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        pairs, dropped = sort_out(self._rate(pairs), {**MARKED, **self._list_rating_limits()})
        texts = pl.concat(
            pairs.select(
                "prompt_id",
                "split",
                prompt=join_turns(),
                response=side,
                response_id=f"{side}_id",
                **{name: f"{name}_{side}" for name in self.config.dimensions},
            )
            for side in SIDES
        )
        low, high = self.config.rewards
        points = (pl.col(*self.config.dimensions) - low) / (high - low) * HIGHEST
        keys = ["prompt_id", "split", "prompt", "response", "response_id"]
        # The rewards of one response differ between its pairs where a judge saw them side by side.
        rated = texts.group_by(keys).agg(points.sort().mean().round().cast(pl.Int64))
        absent = [pl.lit(None, pl.Int64).alias(a) for a in ATTRIBUTES if a not in rated.columns]
        return Formatted(rated.with_columns(absent), dropped, units_out=pairs.height)

    def _rate(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """The pairs with the reward of each response on each attribute, as ATTRIBUTE_SIDE."""
        judgment = pl.element().struct
        return pairs.with_columns(
            pl.col("judgments")
            .list.eval(
                pl.when(judgment.field("dimension") == dimension).then(
                    judgment.field(f"reward_{side}")
                )
            )
            .list.mean()
            .alias(f"{attribute}_{side}")
            for attribute, dimension in self.config.dimensions.items()
            for side in SIDES
        )

    def _list_rating_limits(self) -> dict[str, tuple[pl.Expr, str | pl.Expr]]:
        low, high = self.config.rewards
        columns = [f"{a}_{side}" for a in self.config.dimensions for side in SIDES]
        missing = pl.concat_str(
            (pl.when(pl.col(c).is_null()).then(pl.lit(c)) for c in columns),
            separator=", ",
            ignore_nulls=True,
        )
        beyond = pl.concat_str(
            (
                pl.when(~pl.col(c).is_between(low, high)).then(pl.format("{} {}", pl.lit(c), c))
                for c in columns
            ),
            separator=", ",
            ignore_nulls=True,
        )
        rewards, dimensions = f"{self.where}.rewards", f"{self.where}.dimensions"
        return {
            "no_rating": (
                pl.any_horizontal(pl.col(columns).is_null()),
                pl.format("No reward for {}; see {}.", missing, pl.lit(dimensions)),
            ),
            "off_scale": (
                pl.any_horizontal(~pl.col(columns).is_between(low, high)),
                pl.format(
                    "Off the scale {} to {}: {}; see {}.", low, high, beyond, pl.lit(rewards)
                ),
            ),
        }
