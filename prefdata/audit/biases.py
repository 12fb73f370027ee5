"""What influences a judge's verdicts besides the quality of responses.

Each function takes one judge's rows of `join_differences` and returns plain figures; a rate of no
comparisons is null.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl

from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import compute_verdict
from prefdata.records.judgment import SPEAKER
from prefdata.statistics.logistic import fit_intervals
from prefdata.statistics.odds import sigmoid
from prefdata.text.features import LENGTH, NAMES

MATCHED = 0.15
"""Responses whose lengths' log ratio is below this count as equally long."""
_LEAST = 20


def count_unscored(rows: pl.DataFrame) -> dict[str, Any]:
    """The share of Unscored comparisons, counts of their reasons' codes, and the share of ties."""
    code = pl.col("unscored").str.split(":").list.first()
    reasons = rows.filter(pl.col("unscored").is_not_null()).group_by(code=code).len().sort("code")
    ties = _mean(rows.drop_nulls("verdict")["verdict"] == 0)
    return {
        "comparisons": rows.height,
        "unscored": _mean(rows["preference"].is_null()),
        "reasons": dict(reasons.iter_rows()),
        "ties": ties,
    }


def measure_position(rows: pl.DataFrame) -> dict[str, Any]:
    """How often swapping the order flips the verdict, and how often the first one is preferred.

    Only for judges that are asked in both orders (`forward`, `reverse`).
    """
    both = rows.drop_nulls(["forward", "reverse"]).select(
        a_first=compute_verdict(pl.col("forward")),
        b_first=compute_verdict(pl.col("reverse")),
    )
    if not both.height:
        return {"asked_both_ways": 0, "flips": None, "prefers_first": None}
    first = pl.concat([both["a_first"], (-both["b_first"]).alias("a_first")])
    return {
        "asked_both_ways": both.height,
        "flips": _mean(both["a_first"] * both["b_first"] == -1),
        "prefers_first": _mean(first.replace_strict({1: 1.0, 0: 0.5, -1: 0.0})),
    }


def measure_ensemble(rows: pl.DataFrame) -> dict[str, Any]:
    """How often the spread of an ensemble's members exceeds its margin."""
    spread = rows.drop_nulls("spread")
    margin = (spread["reward_a"] - spread["reward_b"]).abs()
    return {
        "comparisons": spread.height,
        "mean_spread": _mean(spread["spread"]),
        "spread_above_margin": _mean(spread["spread"] > margin),
    }


def measure_length(rows: pl.DataFrame) -> dict[str, Any]:
    """How often the longer response is preferred: in all comparisons and at similar length."""
    decided = rows.drop_nulls(["verdict", LENGTH]).filter(
        pl.col("verdict") != 0, pl.col(LENGTH) != 0
    )
    longer = decided["verdict"].sign() == decided[LENGTH].sign().cast(pl.Int8)
    matched = decided[LENGTH].abs() < MATCHED
    return {
        "prefers_longer": _mean(longer),
        "prefers_longer_matched": _mean(longer.filter(matched)),
        "matched_comparisons": int(matched.sum()),
    }


def compare_models(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Every two models' win rate, raw and after length control.

    A small version of length-controlled AlpacaEval (arXiv 2404.04475): a logistic regression
    explains preferences by model and by the log ratio of the lengths; the controlled win rate is
    its prediction for equal lengths.
    """
    mixed = rows.drop_nulls(["preference", LENGTH, "model_a", "model_b"]).filter(
        pl.col("model_a") != pl.col("model_b")
    )
    swapped = pl.col("model_a") > pl.col("model_b")
    p, difference = pl.col("preference"), pl.col(LENGTH)
    sorted_sides = mixed.select(
        "prompt_id",
        model=pl.min_horizontal("model_a", "model_b"),
        against=pl.max_horizontal("model_a", "model_b"),
        p=pl.when(swapped).then(1 - p).otherwise(p),
        length=pl.when(swapped).then(-difference).otherwise(difference),
    )
    rates = []
    for (model, against), group in sorted(
        sorted_sides.group_by("model", "against"), key=lambda g: g[0]
    ):
        if group.height < _LEAST:
            continue
        group = group.sort(group.columns)
        design = np.column_stack([np.ones(group.height), group["length"].to_numpy()])
        fitted = fit_intervals(design, group["p"].to_numpy(), _clusters(group))
        rates.append(
            {
                "model": model,
                "against": against,
                "comparisons": group.height,
                "win_rate": _figure(group["p"].mean()),
                "length_controlled": _figure(sigmoid(fitted.coefficient)[0]),
            }
        )
    return rates


def measure_self_preference(
    rows: pl.DataFrame, others: pl.DataFrame, own: Collection[str]
) -> dict[str, Any]:
    """How often the judge prefers its own model's response, and how often the other judges do.

    Only comparisons with exactly one response of the judge's models count. A judge without models,
    or whose models wrote none of the responses, has no rate.

    Args:
        rows: The judge's comparisons.
        others: All other judges' comparisons.
        own: The fingerprints of the judge's models.
    """
    a, b = pl.col("model_a").is_in(list(own)), pl.col("model_b").is_in(list(own))

    def count_wins(judged: pl.DataFrame) -> tuple[int, float | None]:
        mixed = judged.drop_nulls("preference").filter(a != b)
        p = mixed.select(p=pl.when(a).then("preference").otherwise(1 - pl.col("preference")))
        return mixed.height, _figure(p["p"].mean())

    count, rate = count_wins(rows)
    same = others.join(
        rows.select("response_a", "response_b"), on=["response_a", "response_b"], how="semi"
    )
    return {"comparisons": count, "prefers_own": rate, "others_prefer_it": count_wins(same)[1]}


def find_drivers(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Which text features drive the verdicts: log-odds per standard deviation, with 95 % intervals.

    All features are fitted at once, so each one's effect is that at equal values of the others
    (Dissecting Human and LLM Preferences, arXiv 2402.11296; PROFILE, arXiv 2410.06965). The
    strongest come first.
    """
    rows = rows.drop_nulls(["preference", *NAMES])
    names = [name for name in NAMES if (rows[name] != 0).any()]
    if rows.height < _LEAST or not names:
        return []
    rows = rows.sort(*COMPARISON, *SPEAKER)
    difference = rows.select(names).to_numpy()
    # The root mean square, because the mean depends on the order of the ids.
    spread = np.sqrt((difference**2).mean(axis=0))
    fitted = fit_intervals(difference / spread, rows["preference"].to_numpy(), _clusters(rows))
    drivers = [
        {"feature": name, "log_odds": _figure(w), "low": _figure(low), "high": _figure(high)}
        for name, w, low, high in zip(
            names, fitted.coefficient, fitted.low, fitted.high, strict=True
        )
    ]
    return sorted(drivers, key=lambda row: (-abs(row["log_odds"]), row["feature"]))


def _clusters(rows: pl.DataFrame) -> np.ndarray:
    return rows["prompt_id"].rank("dense").cast(pl.Int64).to_numpy() - 1


def _mean(values: pl.Series) -> float | None:
    return _figure(values.mean())


def _figure(value: Any) -> Any:
    """Rounded: the last digits depend on the order of ids and buckets."""
    return None if value is None else round(float(value), 6)
