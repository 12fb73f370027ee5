"""The figures of a `ChesReport`, from the measured pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from prefdata.ches.measure import COLUMNS
from prefdata.filters.pairs.ches import ChesConfig
from prefdata.reports.ches.report import LIMITS, Choice, CurvePoint, Histogram, PairKind, RiskyPair

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
CURVE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
KIND = "kind "
"""The prefix of the columns that tell the kind of a pair."""

_IDS = ["prompt_id", "chosen_id", "rejected_id"]
_BINS = 20
_TEXT = 160


def find_limit(pairs: pl.DataFrame, measure: str, quantile: float) -> float:
    """The value at the quantile over all distinct pairs, as the filter computes it."""
    values = pairs.unique(_IDS)[measure]
    return float(values.quantile(quantile, interpolation="lower"))  # type: ignore[arg-type]


def compute_figures(
    pairs: pl.DataFrame, settings: ChesConfig, applied: bool, examples: int
) -> dict[str, Any]:
    """The fields of `ChesReport` that come from the measured pairs.

    Args:
        pairs: One row per measured row of the dataset: row, the ids, the columns of `Ches`, prompt,
            chosen, rejected, margin, columns that start with `KIND`, and `keep`.
        settings: The filter's settings, which decided `keep`.
        applied: Whether the settings were asked for.
        examples: The number of riskiest pairs to show.
    """
    measure, kept = settings.measure, pairs.filter("keep")
    limit = None if settings.best_of_prompt else settings.max_value
    if settings.max_quantile is not None:
        limit = kept[measure].max()  # type: ignore[assignment]
    return {
        "measure": measure,
        "quantiles": {
            name: {f"{q:g}": find_limit(pairs, name, q) for q in QUANTILES} for name in COLUMNS
        },
        "histogram": _count_bins(pairs[measure]),
        "curve": [_leave(pairs, measure, q) for q in CURVE],
        "kinds": list(_count_kinds(pairs)),
        "riskiest": _find_riskiest(pairs, measure, examples),
        "choice": Choice(
            **settings.model_dump(include=set(LIMITS)),
            limit=limit,
            kept=kept.height,
            dropped=pairs.height - kept.height,
        ),
        "applied": applied,
    }


def _count_bins(values: pl.Series) -> Histogram:
    low, high = (float(values.quantile(q, "lower")) for q in (0.01, 0.99))  # type: ignore[arg-type]
    width = (high - low) / _BINS or 1.0
    bins = ((values - low) / width).floor().clip(0, _BINS - 1).cast(pl.Int64)
    counts = dict(bins.value_counts().iter_rows())
    return Histogram(low=low, high=high, counts=[counts.get(n, 0) for n in range(_BINS)])


def _leave(pairs: pl.DataFrame, measure: str, quantile: float) -> CurvePoint:
    limit = find_limit(pairs, measure, quantile)
    kept = pairs.filter(pl.col(measure) <= limit)
    means = {f"mean_{n}": kept[n].mean() for n in ("margin", "tokens_chosen", "tokens_rejected")}
    return CurvePoint(
        max_quantile=quantile,
        max_value=limit,
        kept=kept.height,
        prompts=kept["prompt_id"].n_unique(),
        **means,
    )


def _find_riskiest(pairs: pl.DataFrame, measure: str, examples: int) -> list[RiskyPair]:
    riskiest = pairs.sort([measure, "row"], descending=[True, False]).head(examples)
    texts = [pl.col(n).map_elements(_shorten, pl.String) for n in ("prompt", "chosen", "rejected")]
    fields = list(RiskyPair.model_fields)
    return [RiskyPair(**row) for row in riskiest.with_columns(texts).select(fields).to_dicts()]


def _count_kinds(pairs: pl.DataFrame) -> Iterator[PairKind]:
    words = [
        pl.col(side).str.to_lowercase().str.extract_all(r"\w+").list.unique()
        for side in ("chosen", "rejected")
    ]
    both, either = words[0].list.set_intersection(words[1]), words[0].list.set_union(words[1])
    shared = pl.col("_shared")
    ratio = pl.col("tokens_chosen") / pl.col("tokens_rejected")
    marked = pairs.with_columns(_shared=both.list.len() / either.list.len().clip(1))
    kinds: list[tuple[str, pl.Expr]] = [
        ("all pairs", pl.lit(True)),
        ("share 80 % of their words or more", shared >= 0.8),
        ("share 50 to 80 %", shared.is_between(0.5, 0.8, closed="left")),
        ("share under 50 %", shared < 0.5),
        ("chosen under 2/3 of rejected's tokens", ratio < 2 / 3),
        ("chosen of about the same length", ratio.is_between(2 / 3, 1.5)),
        ("chosen over 3/2 of rejected's tokens", ratio > 1.5),
    ]
    for name in (column for column in pairs.columns if column.startswith(KIND)):
        for value in pairs[name].unique().sort():
            is_value = pl.col(name).eq_missing(pl.lit(value, pl.String))
            kinds.append((f"{name.removeprefix(KIND)} = {value}", is_value))
    for kind, belongs in kinds:
        of_kind = marked.filter(belongs)
        if of_kind.height:
            go = of_kind.height - int(of_kind["keep"].sum())
            yield PairKind(kind=kind, pairs=of_kind.height, go=go, share=go / of_kind.height)


def _shorten(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT else f"{flat[: _TEXT - 1]}…"
