"""The audit of judges: their biases, agreement and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from prefdata.audit import biases
from prefdata.audit.agreement import compare_annotators, measure_agreement
from prefdata.audit.labels import read_consensus, read_labels
from prefdata.audit.legends import AGREEMENT, ANNOTATORS, BIASES, DRIVERS, POLICIES
from prefdata.audit.policies import compare_policies
from prefdata.audit.summary import compare_buckets
from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.win_matrix import build_win_matrices
from prefdata.config.params import Params
from prefdata.consensus.calibration import fit_temperature, reliability_curve
from prefdata.consensus.temperatures import Calibration, save_calibration
from prefdata.errors import ConfigError
from prefdata.records import Judgment, Label, Response
from prefdata.records.judgment import SPEAKER
from prefdata.reports.base import Block, Figures, Grid, Report
from prefdata.reports.judges import tabulate_injection
from prefdata.tables.catalog import Catalog
from prefdata.tables.read import is_finished

MAX_ANNOTATORS = 20
"""The most pairs of annotators in the table; those with the most comparisons come first."""
MAX_POLICIES = 40
"""The most rows of judges and policies in the table; those with the most comparisons."""
_MAX_DRIVERS = 4
_VERDICT = [*COMPARISON, "dimension", "annotator", "group", "verdict"]

Rates = dict[str, Any]
"""Figures by name, as the functions of prefdata.audit return them."""


class JudgeFigures(Figures):
    """All figures of one judge; a rate is null if it has no comparisons."""

    comparisons: int
    unscored: float | None = Field(description="The share without a verdict.")
    reasons: dict[str, int] = Field(description="Why there was no verdict.")
    ties: float | None
    position: Rates = Field(description="The effect of swapping the order.")
    ensemble: Rates
    length: Rates = Field(description="How often the longer response is preferred.")
    win_rates: list[Rates] = Field(
        description="Win rates of every two models, raw and length-controlled."
    )
    self_preference: Rates
    policies: list[Rates] = Field(
        description="How often each policy wins against the others, and with the other judges."
    )
    agreement: dict[str, Rates] = Field(description="Agreement with each other judge.")
    annotators: list[Rates] = Field(description="Agreement of every two annotators.")
    labels: Rates | None = Field(description="Agreement with the labels.")
    calibration: Rates | None = Field(
        description="Temperature, calibration errors and reliability curve against the labels."
    )
    drivers: list[Rates] = Field(description="Which features of a response drive the verdicts.")
    injection: list[Rates] = Field(
        [], description="How often known attacks on the losing response turn the verdict."
    )


class AuditReport(Report):
    """The audit of all judges of a run."""

    data: str
    judges: dict[str, JudgeFigures]
    notes: list[str] = Field(exclude=True)

    def blocks(self) -> list[Block]:
        """Biases, policies, agreement, annotators, drivers of the verdicts, and reasons for missing
        ones."""
        blocks = [self._tabulate_biases(), *self._tabulate_policies()]
        blocks += self._tabulate_agreement()
        blocks += [*self._tabulate_annotators(), self._tabulate_drivers()]
        blocks += tabulate_injection({name: j.injection for name, j in self.judges.items()})
        for name, judge in self.judges.items():
            if judge.reasons:
                reasons = ", ".join(f"{code} {count}" for code, count in judge.reasons.items())
                blocks.append(f"{name} unscored: {reasons}")
        return [*blocks, *self.notes]

    def _tabulate_biases(self) -> Grid:
        rows = []
        for name, judge in self.judges.items():
            labels, fitted = judge.labels or {}, judge.calibration or {}
            rates = (
                judge.unscored, judge.ties, judge.position["flips"],
                judge.position["prefers_first"], judge.length["prefers_longer"],
                judge.length["prefers_longer_matched"], judge.self_preference["prefers_own"],
                labels.get("agree"), fitted.get("ece_before"),
            )  # fmt: skip
            rows.append((name, *map(_format_rate, rates)))
        return Grid(tuple(BIASES), rows, range(1, len(BIASES)), BIASES)

    def _tabulate_policies(self) -> list[Block]:
        listed = [(name, each) for name, judge in self.judges.items() for each in judge.policies]
        most = sorted(listed, key=lambda item: -item[1]["comparisons"])[:MAX_POLICIES]
        rows = [(name, *_format_wins(each)) for name, each in listed if (name, each) in most]
        blocks: list[Block] = (
            [Grid(tuple(POLICIES), rows, range(2, len(POLICIES)), POLICIES)] if rows else []
        )
        if len(listed) > len(most):
            blocks.append(f"{len(listed) - len(most):,} more of judges and policies: --json")
        return blocks

    def _tabulate_agreement(self) -> list[Block]:
        rows = [
            (one, other, *_format_agreement(figures))
            for one, judge in self.judges.items()
            for other, figures in judge.agreement.items()
            if one < other
        ]
        return [Grid(tuple(AGREEMENT), rows, range(2, 6), AGREEMENT)] if rows else []

    def _tabulate_annotators(self) -> list[Block]:
        pairs = [pair for judge in self.judges.values() for pair in judge.annotators]
        most = sorted(pairs, key=lambda pair: -pair["comparisons"])[:MAX_ANNOTATORS]
        rows = [(pair["annotator"], pair["other"], *_format_agreement(pair)) for pair in most]
        blocks: list[Block] = (
            [Grid(tuple(ANNOTATORS), rows, range(2, 6), ANNOTATORS)] if rows else []
        )
        if len(pairs) > len(most):
            blocks.append(f"{len(pairs) - len(most):,} more pairs of annotators: --json")
        return blocks

    def _tabulate_drivers(self) -> Grid:
        rows = [(name, _format_drivers(judge.drivers)) for name, judge in self.judges.items()]
        return Grid(tuple(DRIVERS), rows, legend=DRIVERS)


def report_audit(
    params: Params,
    own_models: Mapping[str, Sequence[str]],
    labels: str | None = None,
    *,
    calibrate: str | None = None,
    matrices: str | None = None,
    injection: Mapping[str, list[Rates]] | None = None,
) -> AuditReport:
    """The audit of a run's judgments. It reads tables and asks no model.

    Args:
        params: The run's configuration.
        own_models: For each judge, the fingerprints of the models that it asks.
        labels: A judge of the run, or a file of labels, to compare with.
        calibrate: The file to write each judge's temperature to, fitted to the labels.
        matrices: The Parquet file to write every P(i > j) to.
        injection: By judge, what the injection probe found, if it was made.

    Raises:
        ConfigError: `calibrate` was asked for without labels.
        SourceError: The labels can't be read.
    """
    if calibrate is not None and labels is None:
        raise ConfigError("--calibrate needs --labels", "Say which comparisons have a label.")
    catalog = Catalog(params.data)
    tables = catalog.table("judgments", Judgment), catalog.table("responses", Response)
    rows = pl.concat(compare_buckets(*tables))
    label_rows = None if labels is None else read_labels(labels, rows)
    consensus = catalog.table("labels", Label)
    agreed = read_consensus(consensus) if is_finished(consensus) else None
    judges = {
        name: audit_judge(rows, name, own_models.get(name, []), label_rows, agreed)
        for name in rows["judge"].unique().sort().to_list()
    }
    for name, probed in (injection or {}).items():
        if name in judges:
            judges[name] = judges[name].model_copy(update={"injection": probed})
    notes = []
    if calibrate is not None:
        _write_temperatures(calibrate, judges)
        notes.append(f"temperatures: {calibrate}; use: consensus.calibration: {calibrate}")
    if matrices is not None:
        wins = build_win_matrices(rows)
        wins.write_parquet(matrices, mkdir=True)
        notes.append(f"win matrices: {matrices}, {wins.height} of a prompt and judge each")
    return AuditReport(data=params.data, judges=judges, notes=notes)


def audit_judge(
    rows: pl.DataFrame,
    judge: str,
    own: Sequence[str],
    labels: pl.DataFrame | None,
    consensus: pl.DataFrame | None,
) -> JudgeFigures:
    """All figures of one judge.

    Args:
        rows: The comparisons of all judges, as `compare_buckets` returns them.
        judge: The judge's name.
        own: The fingerprints of the judge's models.
        labels: The labels that `read_labels` returns, if there are any.
        consensus: The run's own labels, as `read_consensus` returns them, if there are any.
    """
    mine = rows.filter(pl.col("judge") == judge)
    others = rows.filter(pl.col("judge") != judge)
    verdicts = mine.select(_VERDICT)
    label_verdicts = None if labels is None else labels.select(*COMPARISON, "verdict")
    agreement = {
        name: measure_agreement(verdicts, others.filter(pl.col("judge") == name).select(_VERDICT))
        for name in others["judge"].unique().sort().to_list()
    }
    return JudgeFigures(
        **biases.count_unscored(mine),
        position=biases.measure_position(mine),
        ensemble=biases.measure_ensemble(mine),
        length=biases.measure_length(mine),
        win_rates=biases.compare_models(mine),
        self_preference=biases.measure_self_preference(mine, others, own),
        policies=compare_policies(mine, others, consensus, own),
        agreement=agreement,
        annotators=compare_annotators(mine),
        labels=None if label_verdicts is None else measure_agreement(verdicts, label_verdicts),
        calibration=None if labels is None else calibrate_judge(mine, labels),
        drivers=biases.find_drivers(mine),
    )


def calibrate_judge(mine: pl.DataFrame, labels: pl.DataFrame) -> Rates | None:
    """Temperature, calibration errors before and after, and the curve; None without labels."""
    decided = labels.filter(pl.col("verdict") != 0).select(*COMPARISON, label="verdict")
    both = mine.drop_nulls("preference").join(decided, on=COMPARISON).sort(*COMPARISON, *SPEAKER)
    if not both.height:
        return None
    p, label = both["preference"].to_numpy(), (both["label"] > 0).to_numpy().astype(np.float64)
    curve = [
        {"comparisons": n, "confidence": round(confidence, 6), "accuracy": round(accuracy, 6)}
        for n, confidence, accuracy in reliability_curve(p, label)
    ]
    return {**fit_temperature(p, label).model_dump(), "curve": curve}


def _write_temperatures(path: str, judges: Mapping[str, JudgeFigures]) -> None:
    fitted = {
        name: {key: value for key, value in judge.calibration.items() if key != "curve"}
        for name, judge in judges.items()
        if judge.calibration
    }
    save_calibration(path, Calibration.model_validate({"judges": fitted}))


def _format_agreement(rates: Rates) -> tuple[str, ...]:
    shares = (rates["agree"], rates["kappa"], rates["tau"])
    return (f"{rates['comparisons']:,}", *map(_format_rate, shares))


def _format_wins(wins: Rates) -> tuple[str, ...]:
    excess = ""
    if wins["excess"] is not None:
        low, high = wins["excess_low"], wins["excess_high"]
        excess = f"{wins['excess']:+.3f} ({low:+.3f} … {high:+.3f})"
    return (
        wins["policy"] + (" (own)" if wins["own"] else ""),
        f"{wins['comparisons']:,}",
        f"{wins['won']:.3f} ({wins['low']:.3f} … {wins['high']:.3f})",
        _format_rate(wins["others_won"]),
        excess,
        _format_rate(wins["consensus_won"]),
    )


def _format_drivers(drivers: list[Rates]) -> str:
    clear = [d for d in drivers if d["low"] * d["high"] > 0][:_MAX_DRIVERS]
    parts = [
        f"{d['feature']} {d['log_odds']:+.2f} ({d['low']:.2f} … {d['high']:.2f})" for d in clear
    ]
    return ", ".join(parts) or "nothing whose interval leaves out 0"


def _format_rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.3f}"
