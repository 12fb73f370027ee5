"""The judges: agreement, swapped orders, calibration, and their biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from prefdata.reports.audit import AuditReport
from prefdata.reports.base import Block, Grid
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.figures.judges import draw_agreement, draw_calibration, draw_flips
from prefdata.reports.page.content import Chart, Section
from prefdata.reports.page.sections.pairs import draw_chart

_TITLE = "Judges"


def show_judges(
    audit: AuditReport | None,
    lead: str,
    label: str,
    preferences: Mapping[str, pl.Series] | None = None,
) -> Section:
    """The section, of a run's audit.

    Args:
        audit: The audit; None: there are no judgments.
        preferences: By judge, P(a ≻ b) of its judgments.
        lead: What the figures are of.
        label: What the judges are compared with, such as people.
    """
    if audit is None or not audit.judges:
        return Section("judges", _TITLE, "Nothing to show: there are no judgments.")
    charts = [
        each
        for each in (
            _show_agreement(audit),
            _show_flips({name: judge.position["flips"] for name, judge in audit.judges.items()}),
            _show_calibration(audit, label),
        )
        if each
    ]
    if preferences:
        sure = {
            name: pl.select(pl.max_horizontal(p, 1 - p)).to_series()
            for name, p in preferences.items()
        }
        charts.append(
            draw_chart("How sure the judges are", "sure", sure, "P of the preferred response")
        )
    if len(audit.judges) == 1:
        lead += " A judge alone has nobody to agree with."
    tables = [_name_label(block, label) for block in audit.blocks()]
    return Section("judges", _TITLE, lead, [*charts, *tables])


def _name_label(block: Block, label: str) -> Block:
    """The table, whose legend says what the labels are."""
    if not isinstance(block, Grid) or "labels" not in block.legend:
        return block
    meaning = f"the share of its verdicts that are those of {label}"
    return replace(block, legend={**block.legend, "labels": meaning})


def show_judges_in_short(audit: Mapping[str, Mapping[str, float | None]]) -> Section:
    """The section, of the figures that a version's manifest has of each judge."""
    if not audit:
        return Section(
            "judges", _TITLE, "Nothing to show: the manifest has no audit of the judges."
        )
    names = list(dict.fromkeys(name for figures in audit.values() for name in figures))
    rows = [(judge, *(_format(figures.get(n)) for n in names)) for judge, figures in audit.items()]
    flips = {judge: figures.get("flips") for judge, figures in audit.items()}
    parts: list[Block | Chart] = [each for each in (_show_flips(flips),) if each]
    table = Grid(("judge", *names), rows, range(1, len(names) + 1))
    lead = (
        "What the version's manifest says of its judges. Their agreement and calibration are not "
        "here: they need the run's tables of judgments."
    )
    return Section("judges", _TITLE, lead, [*parts, table])


def _show_agreement(audit: AuditReport) -> Chart | None:
    rows = [
        {"judge": name, "other": other, **{key: rates[key] for key in ("agree", "kappa")}}
        for name, judge in audit.judges.items()
        for other, rates in judge.agreement.items()
    ]
    if not rows:
        return None
    schema = {"judge": pl.String, "other": pl.String, "agree": pl.Float64, "kappa": pl.Float64}
    agreement = pl.DataFrame(rows, schema=schema)
    table = Grid(
        ("judge", "and", "agree", "kappa"),
        [(j, o, _share(agree), _format(kappa)) for j, o, agree, kappa in agreement.iter_rows()],
        [2, 3],
    )
    return Chart(
        "Agreement",
        write_svg(draw_agreement(agreement), "agreement"),
        "The share of equal verdicts, and Cohen's kappa: 0 is what chance gives, 1 is always.",
        table,
    )


def _show_flips(flips: Mapping[str, float | None]) -> Chart | None:
    asked = {name: share for name, share in flips.items() if share is not None}
    if not asked:
        return None
    frame = pl.DataFrame(
        {"judge": list(flips), "flips": list(flips.values())},
        schema={"judge": pl.String, "flips": pl.Float64},
    )
    worst = max(asked, key=lambda name: (asked[name], name))
    return Chart(
        "Swap flips",
        write_svg(draw_flips(frame), "flips"),
        f"Asked in both orders, {worst} contradicts itself most: {asked[worst]:.1%}.",
        Grid(("judge", "flips"), [(name, _share(share)) for name, share in flips.items()], [1]),
    )


def _show_calibration(audit: AuditReport, label: str) -> Chart | None:
    rows = [
        {"judge": name, **point}
        for name, judge in audit.judges.items()
        for point in (judge.calibration or {}).get("curve", ())
    ]
    if not rows:
        return None
    kinds = {"confidence": pl.Float64, "accuracy": pl.Float64, "comparisons": pl.Int64}
    curves = pl.DataFrame(rows, schema={"judge": pl.String, **kinds})
    errors = ", ".join(
        f"{name} {judge.calibration['ece_before']:.3f}"
        for name, judge in audit.judges.items()
        if judge.calibration
    )
    return Chart(
        "Calibration",
        write_svg(draw_calibration(curves, label), "calibration"),
        f"How often a judge agrees with {label}, by how sure it is; the dotted line is perfect. "
        f"Expected calibration error: {errors}.",
        Grid(
            ("judge", "sure", "agrees", "comparisons"),
            [(j, f"{c:.1%}", f"{a:.1%}", f"{n:,}") for j, c, a, n in curves.iter_rows()],
            range(1, 4),
        ),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _format(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
