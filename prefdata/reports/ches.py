"""What `prefdata ches` says: distribution, yield curve, what would go, the riskiest pairs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prefdata.ches.measure import COLUMNS

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
CURVE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SUGGESTED = 0.9
"""Without a choice, what would go is shown for keeping this share."""

_BINS = 20
_WIDTH = 40
_TEXT = 160


@dataclass(frozen=True)
class Choice:
    """Which pairs stay: exactly one of a share, a highest value, or so many a prompt."""

    score: str
    keep_quantile: float | None = None
    max_ches: float | None = None
    best_of_prompt: int | None = None

    def limit(self, pairs: pl.DataFrame) -> float | None:
        """The highest score that stays; exact, over all pairs. None: it depends on the prompt."""
        if self.keep_quantile is not None:
            return float(pairs[self.score].quantile(self.keep_quantile, "lower"))  # type: ignore[arg-type]
        return self.max_ches

    def keep(self, pairs: pl.DataFrame) -> pl.Series:
        """Whether each pair stays."""
        if self.best_of_prompt is not None:
            place = pl.struct(self.score, "row").rank("ordinal").over("prompt_id")
            return pairs.select(keep=place <= self.best_of_prompt)["keep"]
        return pairs.select(keep=pl.col(self.score) <= self.limit(pairs))["keep"]


def figures(
    pairs: pl.DataFrame, choice: Choice | None, score: str, examples: int
) -> dict[str, Any]:
    """Everything that the report says, as data. `pairs` may have columns `kind NAME`."""
    shown = choice or Choice(score, keep_quantile=SUGGESTED)
    kept = pairs.with_columns(keep=shown.keep(pairs))
    result: dict[str, Any] = {
        "score": score,
        "quantiles": {
            name: {f"{q:g}": pairs[name].quantile(q, "lower") for q in QUANTILES}
            for name in COLUMNS
        },
        "histogram": _histogram(pairs[score]),
        "curve": [_point(pairs, score, q) for q in CURVE],
        "riskiest": _riskiest(pairs, score, examples),
        "what_goes": _kinds(kept),
    }
    result["choice" if choice else "for_example"] = {
        **{k: v for k, v in vars(shown).items() if v is not None},
        "limit": shown.limit(pairs),
        "kept": int(kept["keep"].sum()),
        "dropped": int((~kept["keep"]).sum()),
        "method": "exact over all scored pairs",
    }
    return result


def _histogram(values: pl.Series) -> dict[str, Any]:
    """Counts in equal bins from the 1st to the 99th percentile, what lies outside at the ends."""
    low, high = (float(values.quantile(q, "lower")) for q in (0.01, 0.99))  # type: ignore[arg-type]
    width = (high - low) / _BINS or 1.0
    bins = ((values - low) / width).floor().clip(0, _BINS - 1).cast(pl.Int64)
    counts = dict(bins.value_counts().iter_rows())
    return {"low": low, "high": high, "counts": [counts.get(n, 0) for n in range(_BINS)]}


def _point(pairs: pl.DataFrame, score: str, quantile: float) -> dict[str, Any]:
    limit = pairs[score].quantile(quantile, "lower")
    kept = pairs.filter(pl.col(score) <= limit)
    return {
        "keep_quantile": quantile,
        "max_ches": limit,
        "kept": kept.height,
        "prompts": kept["prompt_id"].n_unique(),
        "mean_margin": kept["margin"].mean(),
        "mean_tokens_chosen": kept["tokens_chosen"].mean(),
        "mean_tokens_rejected": kept["tokens_rejected"].mean(),
    }


def _riskiest(pairs: pl.DataFrame, score: str, examples: int) -> list[dict[str, Any]]:
    found = pairs.sort([score, "row"], descending=[True, False]).head(examples)
    last = pl.col("messages").list.last().struct.field("content")
    return found.select(
        "row", *COLUMNS, "tokens_chosen", "tokens_rejected",
        prompt=last.map_elements(_short, pl.String),
        chosen=pl.col("chosen").map_elements(_short, pl.String),
        dropped=pl.col("rejected").map_elements(_short, pl.String),
    ).to_dicts()  # fmt: skip


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _TEXT else f"{flat[: _TEXT - 1]}…"


def _kinds(kept: pl.DataFrame) -> list[dict[str, Any]]:
    """Of each kind of pair: how many there are, and how many go."""
    words = [pl.col(side).str.to_lowercase().str.extract_all(r"\w+").list.unique()
             for side in ("chosen", "rejected")]  # fmt: skip
    both, either = words[0].list.set_intersection(words[1]), words[0].list.set_union(words[1])
    shared = both.list.len() / either.list.len().clip(1)
    ratio = pl.col("tokens_chosen") / pl.col("tokens_rejected")
    marked = kept.with_columns(shared=shared, ratio=ratio)
    kinds: list[tuple[str, pl.Expr]] = [
        ("all pairs", pl.lit(True)),
        ("identical responses", pl.col("chosen") == pl.col("rejected")),
        ("share 80 % of their words or more", pl.col("shared") >= 0.8),
        ("share 50 to 80 %", pl.col("shared").is_between(0.5, 0.8, closed="left")),
        ("share under 50 %", pl.col("shared") < 0.5),
        ("chosen under 2/3 of rejected's tokens", pl.col("ratio") < 2 / 3),
        ("chosen of about the same length", pl.col("ratio").is_between(2 / 3, 1.5)),
        ("chosen over 3/2 of rejected's tokens", pl.col("ratio") > 1.5),
    ]
    for name in (c for c in kept.columns if c.startswith("kind ")):
        for value in kept[name].unique().sort():
            what = name.removeprefix("kind ")
            kinds.append((f"{what} = {value}", pl.col(name).eq_missing(pl.lit(value, pl.String))))
    result = []
    for kind, has in kinds:
        some = marked.filter(has)
        if some.height:
            goes = int((~some["keep"]).sum())
            result.append(
                {"kind": kind, "pairs": some.height, "go": goes, "share": goes / some.height}
            )
    return result


def text(report: Mapping[str, Any], paths: Mapping[str, str]) -> str:
    """The report for people."""
    score = report["score"]
    chosen = report.get("choice") or report["for_example"]
    parts = [
        f"{report['data']}: {report['rows']:,} rows, {report['form']}; {report['scored']:,} scored",
        *(f"  {count:,} without a score: {why}" for why, count in report["unscored"].items()),
        "",
        f"{score} (the higher, the likelier DPO lowers the chosen response's probability)",
        *_bars(report["histogram"]),
        "",
        *_table(
            ["quantile", *COLUMNS],
            [
                [q, *(_number(report["quantiles"][name][q]) for name in COLUMNS)]
                for q in report["quantiles"][score]
            ],
        ),
        "",
        "what each limit would leave",
        *_table(list(_CURVE_HEADS), [_curve_row(p) for p in report["curve"]]),
        "",
        f"what {'goes' if 'choice' in report else 'would go'} with {_said(chosen)}",
        *_table(["kind", "pairs", "go", "share"], [_kind_row(k) for k in report["what_goes"]]),
        "",
        "the riskiest pairs",
    ]
    for pair in report["riskiest"]:
        parts.append(f"  row {pair['row']}: {score} {_number(pair[score])}")
        for side in ("prompt", "chosen", "rejected"):
            parts += textwrap.wrap(
                pair[side], 92, initial_indent=f"    {side:<10}", subsequent_indent=" " * 14
            )
    parts.append("")
    parts += [f"{what}: {path}" for what, path in paths.items()]
    if "choice" not in report:
        parts.append(
            "No pair was dropped. Choose with --keep-quantile, --max-ches or --best-of-prompt, and "
            "--out FOLDER for the filtered copy: the scores are kept, so that takes no model call."
        )
    return "\n".join(parts)


_CURVE_HEADS = ("keep", "limit", "pairs", "prompts", "mean margin", "tokens chosen", "rejected")


def _curve_row(point: Mapping[str, Any]) -> list[str]:
    counts = (f"{point['kept']:,}", f"{point['prompts']:,}")
    tokens = (f"{point[f'mean_tokens_{side}']:.0f}" for side in ("chosen", "rejected"))
    shown = (f"{point['keep_quantile']:g}", _number(point["max_ches"]), *counts)
    return [*shown, _number(point["mean_margin"]), *tokens]


def _kind_row(kind: Mapping[str, Any]) -> list[str]:
    return [kind["kind"], f"{kind['pairs']:,}", f"{kind['go']:,}", f"{kind['share']:.0%}"]


def _said(chosen: Mapping[str, Any]) -> str:
    names = ("keep_quantile", "max_ches", "best_of_prompt")
    how = next(f"--{n.replace('_', '-')} {chosen[n]:g}" for n in names if n in chosen)
    limit = "" if chosen["limit"] is None else f", limit {_number(chosen['limit'])}"
    return f"{how}{limit}: {chosen['kept']:,} stay, {chosen['dropped']:,} go"


def _bars(histogram: Mapping[str, Any]) -> list[str]:
    counts = histogram["counts"]
    width = (histogram["high"] - histogram["low"]) / len(counts)
    most = max(counts)
    return [
        f"  {_number(histogram['low'] + n * width):>10}  {count:>7,}  "
        f"{'█' * round(_WIDTH * count / most)}".rstrip()
        for n, count in enumerate(counts)
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return [
        "  " + "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]  # fmt: skip
