"""How much two judges, or a judge and labels, agree: shares, Cohen's kappa, Kendall's tau."""

from __future__ import annotations

from typing import Any

import polars as pl

from prefdata.audit.comparisons import KEYS


def kappa(one: pl.Series, other: pl.Series) -> float | None:
    """Cohen's kappa of verdicts 1, 0, -1 (Educational and Psychological Measurement 20, 1960).

    Each comparison is counted both ways round, so that naming the answers the other way changes
    nothing. Null where both always say the same one thing (chance explains everything).
    """
    n = len(one)
    if not n:
        return None
    observed = _share(one == other)
    ties = [_share(side == 0) for side in (one, other)]
    # Both ways round, 1 and -1 are equally frequent.
    expected = ties[0] * ties[1] + 2 * ((1 - ties[0]) / 2) * ((1 - ties[1]) / 2)
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def _share(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).sum()) / len(values)


def tau(rows: pl.DataFrame) -> float | None:
    """Kendall's tau-b of two judges' orders of a prompt's candidates, the mean over prompts.

    `rows` hold prompt_id, one and other (verdicts). Prompts where one of them prefers nothing
    are left out; null where that leaves none.
    """
    each = rows.group_by("prompt_id").agg(
        tau=(pl.col("one") * pl.col("other")).sum()
        / ((pl.col("one") != 0).sum() * (pl.col("other") != 0).sum()).sqrt()
    )
    found = each.filter(pl.col("tau").is_finite()).sort("prompt_id")["tau"]
    return _share(found) if len(found) else None


def between(one: pl.DataFrame, other: pl.DataFrame) -> dict[str, Any]:
    """Two judges' verdicts (KEYS, verdict), on the comparisons that both scored."""
    rows = one.join(other, on=KEYS, suffix="_other").drop_nulls(["verdict", "verdict_other"])
    both = rows.select(
        "prompt_id",
        one=pl.col("verdict").cast(pl.Int64),
        other=pl.col("verdict_other").cast(pl.Int64),
    )
    return {
        "comparisons": both.height,
        "agree": _share(both["one"] == both["other"]) if both.height else None,
        "kappa": kappa(both["one"], both["other"]),
        "tau": tau(both),
    }
