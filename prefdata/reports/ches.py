"""CHES of a preference dataset: its distribution, what limits leave, what goes, the riskiest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pydantic import Field

from prefdata.ches.measure import COLUMNS
from prefdata.inference.usage import Usage
from prefdata.reports.base import Block, Figures, Grid, Report

LIMITS = ("max_quantile", "max_value", "best_of_prompt")
"""The filter's settings of which exactly one is set."""

_BAR = 40
_WIDTH = 92


class Histogram(Figures):
    """Counts in equal bins from the 1st to the 99th percentile; what lies outside is counted in
    the bins at the ends."""

    low: float
    high: float
    counts: list[int]


class CurvePoint(Figures):
    """What one limit leaves; means are over the pairs that stay."""

    max_quantile: float
    max_value: float
    kept: int
    prompts: int
    mean_margin: float | None
    mean_tokens_chosen: float
    mean_tokens_rejected: float


class PairKind(Figures):
    """How many pairs of a kind there are, and how many of them go."""

    kind: str
    pairs: int
    go: int
    share: float


class RiskyPair(Figures):
    """One of the pairs with the highest value; the texts are shortened."""

    row: int
    ches: float
    ches_normalized: float
    last_hidden_inner_product: float
    tokens_chosen: int
    tokens_rejected: int
    prompt: str
    chosen: str
    rejected: str


class Choice(Figures):
    """Which pairs stay: the filter's one setting, the highest value that stays (None where it
    depends on the prompt), and how many pairs stay and go."""

    max_quantile: float | None = None
    max_value: float | None = None
    best_of_prompt: int | None = None
    limit: float | None
    kept: int
    dropped: int


class ChesReport(Report):
    """What `prefdata ches` finds in a dataset.

    Attributes:
        data: The dataset.
        form: The form of its rows.
        rows: Rows that were read.
        measured: Rows whose pair was measured.
        unmeasured: Why the others were not: rows by reason.
        faults: How many of those are at fault, and not ties or the like.
        first_fault: The first of them, for the error.
        model: The fingerprint of the model.
        measure: What limits and rankings go by.
        quantiles: By measure, the value at each quantile.
        applied: Whether `choice` was asked for, or only shows what a limit would do.
        models: Model calls of the run.
        written: What was written, and where.
    """

    data: str
    form: str
    rows: int
    measured: int
    unmeasured: dict[str, int]
    faults: int
    first_fault: str | None
    model: str
    measure: str
    quantiles: dict[str, dict[str, float]]
    histogram: Histogram
    curve: list[CurvePoint]
    kinds: list[PairKind]
    riskiest: list[RiskyPair]
    choice: Choice
    applied: bool
    models: dict[str, Usage] = Field(default_factory=dict)
    written: dict[str, str] = Field(default_factory=dict)

    def blocks(self) -> list[Block]:
        """The distribution, what each limit leaves, what goes, the riskiest pairs, the files."""
        reasons = [f"  {n:,} not measured: {why}" for why, n in self.unmeasured.items()]
        head = f"{self.data}: {self.rows:,} rows, {self.form}; {self.measured:,} measured"
        about = "the higher, the likelier DPO lowers the chosen response's probability"
        goes = "goes" if self.applied else "would go"
        blocks: list[Block] = [
            "\n".join([head, *reasons]),
            "\n".join([f"{self.measure} ({about})", *_draw_bars(self.histogram)]),
            Grid(
                ("quantile", *COLUMNS),
                [
                    (q, *(_format(self.quantiles[name][q]) for name in COLUMNS))
                    for q in self.quantiles[self.measure]
                ],
                range(4),
            ),
            "what each limit would leave",
            Grid(
                ("keep", "limit", "pairs", "prompts", "mean margin", "tokens chosen", "rejected"),
                [_curve_row(point) for point in self.curve],
                range(7),
            ),
            f"what {goes} with {_describe_choice(self.choice)}",
            Grid(
                ("kind", "pairs", "go", "share"),
                [(k.kind, f"{k.pairs:,}", f"{k.go:,}", f"{k.share:.0%}") for k in self.kinds],
                range(1, 4),
            ),
            "\n".join(["the riskiest pairs", *self._list_riskiest()]),
        ]
        if self.written:
            blocks.append("\n".join(f"{what}: {path}" for what, path in self.written.items()))
        if not self.applied:
            blocks.append(
                "No pair was dropped. Choose with --max-quantile, --max-value or --best-of-prompt, "
                "and --out FOLDER for\nthe filtered copy: finished calls are kept, so that takes "
                "no model call."
            )
        return blocks

    def _list_riskiest(self) -> Iterator[str]:
        for pair in self.riskiest:
            yield f"  row {pair.row}: {self.measure} {_format(getattr(pair, self.measure))}"
            for side in ("prompt", "chosen", "rejected"):
                yield from textwrap.wrap(
                    getattr(pair, side),
                    _WIDTH,
                    initial_indent=f"    {side:<10}",
                    subsequent_indent=" " * 14,
                )


def _curve_row(point: CurvePoint) -> tuple[str, ...]:
    return (
        f"{point.max_quantile:g}",
        _format(point.max_value),
        f"{point.kept:,}",
        f"{point.prompts:,}",
        _format(point.mean_margin),
        f"{point.mean_tokens_chosen:.0f}",
        f"{point.mean_tokens_rejected:.0f}",
    )


def _describe_choice(choice: Choice) -> str:
    name, value = next((n, v) for n in LIMITS if (v := getattr(choice, n)) is not None)
    limit = "" if choice.limit is None else f", limit {_format(choice.limit)}"
    option = f"--{name.replace('_', '-')} {value:g}"
    return f"{option}{limit}: {choice.kept:,} stay, {choice.dropped:,} go"


def _draw_bars(histogram: Histogram) -> Iterator[str]:
    width = (histogram.high - histogram.low) / len(histogram.counts)
    for n, count in enumerate(histogram.counts):
        bar = "█" * round(_BAR * count / max(histogram.counts))
        yield f"  {_format(histogram.low + n * width):>10}  {count:>7,}  {bar}".rstrip()


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
