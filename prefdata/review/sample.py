"""The sample that people are shown: where judges disagree most, and some at random."""

from __future__ import annotations

import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.hashing.digests import row_digests

DISAGREEMENT, RANDOM = "disagreement", "random"
"""The strata: the comparisons on which judges disagree most, and a random share of the others."""


def measure_disagreement(judgments: pl.DataFrame, labels: pl.DataFrame | None) -> pl.DataFrame:
    """How far the judges of each comparison disagree.

    The disagreement is the chance that two judges, drawn without replacement, vote differently
    where each votes by its own P(a ≻ b): for the probabilities 1, 1 and 0 it is 2/3. One judge
    alone disagrees with itself by 2 p (1 - p). A judge's P is the mean over its dimensions.

    Args:
        judgments: `Judgment` rows of whole comparisons.
        labels: `Label` rows; None: there are none.

    Returns:
        COMPARISON, disagreement (null where no model judged), confidence (P of the preferred
        response by the label; null without a label) and by_people, whether a person has judged it.
    """
    p = pl.col("preference")
    keys = judgments.select(COMPARISON).unique()
    people = judgments.filter(pl.col("annotator").is_not_null() & p.is_not_null())
    models = (
        judgments.filter(pl.col("annotator").is_null() & p.is_not_null())
        .sort(*COMPARISON, "judge", "dimension")
        .group_by(*COMPARISON, "judge", maintain_order=True)
        .agg(p.mean())
    )
    n, total, squares = pl.len(), p.sum(), (p * p).sum()
    apart = (2 * (n - 1) * total - 2 * (total * total - squares)) / (n * (n - 1))
    measured = models.group_by(COMPARISON, maintain_order=True).agg(
        # Rounded, so that the last bits of sums choose no one.
        disagreement=pl.when(n > 1).then(apart).otherwise((2 * p * (1 - p)).first()).round(9)
    )
    there = keys.join(measured, on=COMPARISON, how="left").join(
        people.select(COMPARISON).unique().with_columns(by_people=pl.lit(True)),
        on=COMPARISON,
        how="left",
    )
    said = pl.DataFrame(schema={**keys.schema, "preference": pl.Float64})
    said = said if labels is None else labels.select(*COMPARISON, "preference")
    return there.join(said, on=COMPARISON, how="left").select(
        *COMPARISON,
        "disagreement",
        confidence=pl.max_horizontal("preference", 1 - pl.col("preference")),
        by_people=pl.col("by_people").fill_null(False),
    )


def draw_sample(
    measured: pl.DataFrame, size: int, random_share: float, repeated: int
) -> pl.DataFrame:
    """Draw the sample: first where judges disagree most, then at random from all others.

    Every comparison has a known chance to be drawn, which is written beside it, so that what holds
    for all comparisons can be estimated from the sample (Horvitz and Thompson, 1952). Ties and
    chance are settled by digests of the content: the same run gives the same sample.

    Args:
        measured: What `measure_disagreement` returns, without what people have judged.
        size: The number of comparisons; all, where there are fewer.
        random_share: The share of them that is drawn at random.
        repeated: The number of them that are shown twice.

    Returns:
        COMPARISON, disagreement, confidence, stratum, probability (of being drawn) and is_repeat:
        one row per task, in an order that tells nothing.
    """
    size = min(size, measured.height)
    at_random = min(round(size * random_share), size)
    marked = measured.with_columns(
        _chance=row_digests(measured, COMPARISON, "review, sample"),
        _order=row_digests(measured, COMPARISON, "review, order"),
    )
    ranked = marked.sort(
        pl.col("disagreement").fill_null(-1.0) * -1, pl.col("confidence").fill_null(0.5), "_chance"
    )
    most, rest = ranked.head(size - at_random), ranked.slice(size - at_random)
    drawn = rest.sort("_chance").head(at_random)
    chance = at_random / rest.height if rest.height else 1.0
    tasks = pl.concat(
        [
            most.with_columns(stratum=pl.lit(DISAGREEMENT), probability=pl.lit(1.0)),
            drawn.with_columns(stratum=pl.lit(RANDOM), probability=pl.lit(chance)),
        ]
    )
    # By another digest than the one that drew: those that are shown twice are of both strata.
    twice = tasks.sort("_order").head(repeated)
    return (
        pl.concat(
            [
                tasks.with_columns(is_repeat=pl.lit(False)),
                twice.with_columns(is_repeat=pl.lit(True)),
            ]
        )
        .sort("is_repeat", "_order")
        .select(*COMPARISON, "disagreement", "confidence", "stratum", "probability", "is_repeat")
    )
