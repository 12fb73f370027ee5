"""How much two judges, two annotators, or a judge and labels agree: the share of equal verdicts,
Cohen's kappa and Kendall's tau.

Each annotator counts as a judge: orders of responses are those of single annotators, never of
several together.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from prefdata.comparisons.keys import COMPARISON

_ONE, _OTHER = pl.col("one"), pl.col("other")
_TAU = (_ONE * _OTHER).sum() / ((_ONE != 0).sum() * (_OTHER != 0).sum()).sqrt()


def compute_kappa(one: pl.Series, other: pl.Series) -> float | None:
    """Cohen's kappa of verdicts 1, 0, -1 (Educational and Psychological Measurement 20, 1960).

    Each comparison is counted in both directions, so that swapping the two responses changes
    nothing. None where both always give the same verdict: chance explains that.
    """
    n = len(one)
    if not n:
        return None
    observed = _share(one == other)
    ties = [_share(side == 0) for side in (one, other)]
    # Counted in both directions, 1 and -1 are equally frequent.
    expected = ties[0] * ties[1] + 2 * ((1 - ties[0]) / 2) * ((1 - ties[1]) / 2)
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def compute_tau(rows: pl.DataFrame) -> float | None:
    """Kendall's tau-b of two judges' orders of responses, averaged over prompts.

    Args:
        rows: prompt_id, one and other (the two judges' verdicts). All other columns identify the
            orders of a prompt that has several.

    Returns:
        None where no prompt is ordered by both judges.
    """
    keys = [column for column in rows.columns if column not in ("one", "other")]
    taus = rows.group_by(keys).agg(tau=_TAU)
    finite = taus.filter(pl.col("tau").is_finite()).sort(keys)["tau"]
    return _share(finite) if len(finite) else None


def measure_agreement(one: pl.DataFrame, other: pl.DataFrame) -> dict[str, Any]:
    """How much two judges agree on the comparisons that both scored.

    Args:
        one: prompt_id, response_a, response_b, verdict, and columns that identify who judged.
        other: The same. Each of its rows is compared with each row of `one` on the comparison.
    """
    rows = one.join(other, on=COMPARISON, suffix="_other").drop_nulls(["verdict", "verdict_other"])
    both = rows.select(
        pl.exclude("response_a", "response_b", "verdict", "verdict_other"),
        one=pl.col("verdict").cast(pl.Int64),
        other=pl.col("verdict_other").cast(pl.Int64),
    )
    return {
        "comparisons": both.height,
        "agree": _share(both["one"] == both["other"]) if both.height else None,
        "kappa": compute_kappa(both["one"], both["other"]),
        "tau": compute_tau(both),
    }


def compare_annotators(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """`measure_agreement` of every two annotators of a judge who annotated the same comparisons.

    Sorted by the annotators' ids; `group` and `other_group` are their groups.
    """
    annotated = rows.drop_nulls(["annotator", "verdict"])
    annotators = annotated.select("annotator", "group").unique().sort("annotator", "group")
    numbered = annotators.with_row_index("who")
    verdicts = annotated.join(numbered, on=["annotator", "group"], nulls_equal=True).select(
        *COMPARISON, "dimension", "who", verdict=pl.col("verdict").cast(pl.Int64)
    )
    both = (
        verdicts.join(verdicts, on=[*COMPARISON, "dimension"], suffix="_other", nulls_equal=True)
        .filter(pl.col("who") < pl.col("who_other"))
        .rename({"verdict": "one", "verdict_other": "other"})
    )
    two = ["who", "who_other"]
    orders = both.group_by(*two, "prompt_id", "dimension").agg(tau=_TAU)
    taus = (
        orders.filter(pl.col("tau").is_finite())
        .sort(*two, "prompt_id", "dimension")
        .group_by(two, maintain_order=True)
        .agg(pl.col("tau").mean())
    )
    ties = [(side == 0).mean() for side in (_ONE, _OTHER)]
    agree, chance = pl.col("agree"), pl.col("chance")
    figures = (
        both.group_by(two)
        .agg(
            comparisons=pl.len(),
            agree=(_ONE == _OTHER).mean(),
            # As in `compute_kappa`: counted in both directions.
            chance=ties[0] * ties[1] + (1 - ties[0]) * (1 - ties[1]) / 2,
        )
        .with_columns(kappa=pl.when(chance < 1).then((agree - chance) / (1 - chance)))
        .join(taus, on=two, how="left")
        .join(numbered, on="who")
        .join(
            numbered.select(who_other="who", other="annotator", other_group="group"), on="who_other"
        )
    )
    names = ("annotator", "group", "other", "other_group")
    return figures.sort(two).select(*names, "comparisons", "agree", "kappa", "tau").to_dicts()


def _share(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).sum()) / len(values)
