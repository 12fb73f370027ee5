"""The report on CHES of a preference dataset: distribution, limits, dropped and riskiest pairs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pydantic import Field

from prefdata.ches.measure import COLUMNS
from prefdata.inference.usage import Usage
from prefdata.reports.base import Block, Figures, Grid, Report

LIMITS = ("max_quantile", "max_value", "best_of_prompt")
"""The filter's settings for a limit, of which exactly one is set."""

_BAR = 40
_WIDTH = 92


class Histogram(Figures):
    """Counts in equal bins from the 1st to the 99th percentile; values outside are counted in the
    first and the last bin."""

    low: float
    high: float
    counts: list[int]


class CurvePoint(Figures):
    """The pairs that one limit keeps; means are over these pairs."""

    max_quantile: float
    max_value: float
    kept: int
    prompts: int
    mean_margin: float | None
    mean_tokens_chosen: float
    mean_tokens_rejected: float


class PairKind(Figures):
    """The number of pairs of a kind, and the number of them that are dropped."""

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
    """Which pairs are kept: the filter's setting, the highest value that is kept (None if it
    depends on the prompt), and the numbers of pairs kept and dropped."""

    max_quantile: float | None = None
    max_value: float | None = None
    best_of_prompt: int | None = None
    limit: float | None
    kept: int
    dropped: int


class ChesReport(Report):
    """The results of `prefdata ches` for a dataset.

    Attributes:
        data: The dataset.
        form: The form of its rows.
        rows: The number of rows that were read.
        measured: The number of rows whose pair was measured.
        unmeasured: The number of other rows, by reason.
        faults: The number of other rows that are at fault, unlike ties.
        first_fault: The first faulty row, for the error.
        model: The fingerprint of the model.
        measure: The measure for limits and rankings.
        quantiles: The value at each quantile, by measure.
        applied: Whether `choice` was asked for, or only shows what a limit would do.
        models: The model calls of the run.
        written: The paths of the files that were written, by content.
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
        """The distribution, what each limit keeps, what is dropped, the riskiest pairs, the
        files."""
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
