"""Counts of judges: those of the audit, whatever the buckets."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefdata.accounting.judges import JudgeCounts, count_verdicts
from prefdata.accounting.stats import Stats, sum_stats
from prefdata.audit import biases
from prefdata.audit.agreement import measure_agreement
from prefdata.audit.comparisons import join_differences, measure_responses
from prefdata.comparisons.keys import COMPARISON
from prefdata.records import Judgment, Response
from prefdata.records.base import fill_columns, polars_schema
from prefdata.reports.judges import report_judges, warn_of_judges

P = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
ROW = st.tuples(st.one_of(st.none(), P), st.one_of(st.none(), P), st.one_of(st.none(), P))


def make_run(verdicts: dict[str, list[tuple[float | None, ...]]]) -> tuple[pl.DataFrame, ...]:
    """Judgments and responses: (preference, forward, reverse) of each judge on comparison 0, 1 …"""
    rows = [
        {"prompt_id": f"p{n}", "response_a": f"a{n}", "response_b": f"b{n}", "judge": judge,
         "dimension": "d", "preference": p, "forward": f, "reverse": r,
         "unscored": "timeout" if p is None else None}
        for judge, said in verdicts.items() for n, (p, f, r) in enumerate(said)
    ]  # fmt: skip
    count = max(map(len, verdicts.values()), default=0)
    texts = [
        {"prompt_id": f"p{n}", "response_id": f"{side}{n}", "text": "x" * length}
        for n in range(count)
        for side, length in (("a", 1 + n % 3), ("b", 2))
    ]
    judgments = fill_columns(pl.DataFrame(rows), Judgment).cast(dict(polars_schema(Judgment)))
    return judgments, fill_columns(pl.DataFrame(texts), Response)


@settings(max_examples=20)
@given(st.lists(ROW, min_size=4, max_size=12), st.lists(ROW, min_size=4, max_size=12))
def test_the_figures_are_those_of_the_audit_and_add_up(
    one: list[tuple[float | None, ...]], other: list[tuple[float | None, ...]]
) -> None:
    judgments, responses = make_run({"one": one, "other": other})
    audited = join_differences(judgments, measure_responses(responses))
    parts = [
        Stats(judges=count_verdicts(judgments.filter(chosen), responses))
        for chosen in (pl.col("prompt_id") < "p3", pl.col("prompt_id") >= "p3")
    ]
    whole = report_judges(sum_stats(parts).judges)
    assert whole == report_judges(count_verdicts(judgments, responses))
    verdicts = {
        judge: audited.filter(judge=judge).select(*COMPARISON, "verdict") for judge in whole
    }
    kappa = measure_agreement(verdicts["one"], verdicts["other"])["kappa"]
    for judge, line in whole.items():
        mine = audited.filter(judge=judge)
        shares = biases.count_unscored(mine)
        assert (line.judgments, line.unscored) == (shares["comparisons"], shares["unscored"])
        assert line.ties == shares["ties"]
        assert line.flips == biases.measure_position(mine)["flips"]
        assert line.longer == biases.measure_length(mine)["prefers_longer"]
        assert line.kappa == (None if kappa is None else pytest.approx(kappa, abs=1e-6))


def test_who_was_not_to_annotate_is_not_counted() -> None:
    judgments, responses = make_run({"human": [(None, None, None), (1.0, None, None)]})
    left_out = judgments.with_columns(
        unscored=pl.when(pl.col("preference").is_null()).then(pl.lit("not_annotated: nobody"))
    )
    (counts,) = count_verdicts(left_out, responses).values()
    assert (counts.judgments, counts.unscored) == (1, 0)


def test_nothing_judged_counts_nothing() -> None:
    judgments, responses = make_run({"one": [(1.0, None, None)]})
    assert count_verdicts(judgments.clear(), responses.clear()) == {}


def test_a_judge_that_always_says_the_first_is_warned_of() -> None:
    always_first = [(0.5, 1.0, 0.0)] * 30
    sound = [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0)] * 15
    lines = report_judges(count_verdicts(*make_run({"first": always_first, "sound": sound})))
    assert (lines["first"].flips, lines["first"].ties) == (1.0, 1.0)
    assert lines["sound"].flips == 0.0
    (warning, *_) = warn_of_judges(lines)
    assert warning == (
        "warning: the judge first prefers neither response in 100%, turns 100% of its verdicts "
        "round when the two responses are swapped and agrees with the others hardly more than by "
        "chance (kappa 0.00); `prefdata audit` says more"
    )


@pytest.mark.parametrize(
    ("counts", "flaw"),
    [
        ({"unscored": 40}, "gives no verdict on 40% of its comparisons"),
        ({"decided": 100, "longer": 90}, "prefers the longer response in 90% of its decisions"),
        ({"both_orders": 100, "flips": 81}, "turns 81% of its verdicts round"),
        ({"both_orders": 100, "flips": 13, "decided": 100, "longer": 68}, None),
        ({"compared": 100, "agreed": 100}, None),
    ],
)
def test_a_warning_needs_a_flaw_and_enough_judgments(
    counts: dict[str, int], flaw: str | None
) -> None:
    warnings = warn_of_judges(report_judges({"j": JudgeCounts(judgments=100, **counts)}))
    assert [flaw in each for each in warnings] == ([True] if flaw else [])
    few = {name: number // 10 for name, number in counts.items()}
    assert warn_of_judges(report_judges({"j": JudgeCounts(judgments=10, **few)})) == []
