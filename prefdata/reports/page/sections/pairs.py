"""How the pairs' values are distributed, and how far length tells which response was chosen."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from prefdata.reports.base import Grid
from prefdata.reports.figures.distributions import bin_values, draw_distribution
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.page.content import Chart, Section

RATIO = (pl.col("chosen_length") / pl.col("rejected_length")).log(2)
"""How much longer the chosen response is; 1: twice as long."""


def show_distributions(pairs: pl.DataFrame) -> Section:
    """Rewards, margins, labels, lengths and CHES, of rows of PAIRS."""
    title = "Distributions"
    if not pairs.height:
        return Section("distributions", title, "Nothing to show: there are no pairs.")
    kept = pairs.filter("kept")
    both = {"kept": kept, "all pairs": pairs} if kept.height < pairs.height else {"kept": kept}
    charts, missing = [], []
    if kept["reward_chosen"].count():
        values = {"chosen": kept["reward_chosen"], "rejected": kept["reward_rejected"]}
        charts.append(draw_chart("Rewards", "rewards", values, "mean reward of the judges"))
    else:
        missing.append("rewards and margins (no judge gives a reward, or no augmentation joins it)")
    if kept["margin"].count():
        margins = {name: rows["margin"] for name, rows in both.items()}
        charts.append(
            draw_chart("Margins", "margins", margins, "reward of chosen − rejected", mark=0)
        )
    labels = {name: rows["soft_label"] for name, rows in both.items()}
    charts.append(draw_chart("Labels", "labels", labels, "P(chosen ≻ rejected) by the consensus"))
    if kept["chosen_length"].count():
        lengths = {side: kept[f"{side}_length"] for side in ("chosen", "rejected")}
        charts.append(draw_chart("Lengths", "lengths", lengths, "characters"))
    else:
        missing.append("lengths (the texts are not here)")
    for name, words in (("ches", "CHES"), ("ches_normalized", "CHES, length-normalised")):
        if pairs[name].count():
            measured = {label: rows[name] for label, rows in both.items()}
            chart = draw_chart(
                words, name, measured, "CHES(chosen, rejected); the lower, the safer"
            )
            charts.append(chart)
    if not pairs["ches"].count():
        missing.append("CHES (no stage measured it)")
    lead = f"Of {kept.height:,} pairs that passed every filter"
    lead += f", and of all {pairs.height:,} that were made." if "all pairs" in both else "."
    if missing:
        lead += f" Not here: {'; '.join(missing)}."
    return Section("distributions", title, lead, charts)


def show_length_bias(pairs: pl.DataFrame) -> Section:
    """The lengths of chosen against rejected responses, before and after filtering."""
    title = "Length bias"
    ratios = pairs.filter(
        (pl.col("chosen_length") > 0) & (pl.col("rejected_length") > 0)
    ).with_columns(ratio=RATIO)
    if not ratios.height:
        reason = "the texts are not here" if pairs.height else "there are no pairs"
        return Section("length", title, f"Nothing to show: {reason}.")
    parts = {"before filtering": ratios, "after filtering": ratios.filter("kept")}
    if parts["after filtering"].height == ratios.height:
        parts = {"pairs": ratios}
    rows = []
    for name, of_part in parts.items():
        longer = of_part.filter(pl.col("ratio") != 0)["ratio"] > 0
        middle = 2 ** float(of_part["ratio"].median() or 0)  # type: ignore[arg-type]
        share = f"{longer.sum() / len(longer):.1%}" if len(longer) else ""
        rows.append((name, f"{of_part.height:,}", share, f"{middle:.2f}"))
    table = Grid(
        ("", "pairs", "chosen is longer", "median of chosen / rejected"),
        rows,
        range(1, 4),
        {"chosen is longer": "of the pairs whose responses differ in length; 50 % without a bias"},
    )
    chart = draw_chart(
        "Chosen against rejected",
        "length-bias",
        {name: of_part["ratio"] for name, of_part in parts.items()},
        "log2 of chosen / rejected length (1: twice as long)",
        mark=0,
    )
    lead = "What a model learns from pairs of unequal lengths is, in part, to write more or less."
    return Section("length", title, lead, [table, chart])


def draw_chart(
    title: str,
    name: str,
    values: Mapping[str, pl.Series],
    label: str,
    *,
    mark: float | None = None,
) -> Chart:
    """The histogram of some series as a chart, with its means and its bins.

    Args:
        title: Its caption.
        name: Unique within the page.
        values: By name, the values.
        label: What they are, with their unit.
        mark: A value to mark by a line.
    """
    binned = bin_values(values)
    table = Grid(
        ("from", "to", *values),
        [
            (_format(low), _format(high), *(f"{share:.1%}" for share in shares))
            for low, high, *shares in binned.iter_rows()
        ],
        range(2 + len(values)),
    )
    summary = "; ".join(_describe(key, each) for key, each in values.items()) + "."
    return Chart(
        title, write_svg(draw_distribution(values, label, mark=mark), name), summary, table
    )


def _describe(name: str, values: pl.Series) -> str:
    there = values.drop_nulls()
    if not len(there):
        return f"{name}: none"
    middle = float(there.median())  # type: ignore[arg-type]
    return f"{name}: median {_format(middle)}, of {len(there):,}"


def _format(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
