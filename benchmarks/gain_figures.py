"""The figures of gain.py, of what it measured of each policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from prefdata.reports.base import Block, Grid, Report
from prefdata.statistics.bootstrap import find_interval

Measured = Mapping[str, Any]
"""What was measured of a policy: arm, seed, `heldout` and `sampled` (a row per response), `pairs`
(a row per pair of the arm; none of the start) and `training`."""

SCORES = ("ches", "ches_normalized", "mean_logprob_chosen", "tokens_chosen", "margin")
"""What may tell beforehand that a pair's chosen response will be displaced."""


def estimate(values: pl.Series, clusters: pl.Series, digits: int = 3) -> dict[str, float]:
    """The mean with its 95 % interval, in which whole clusters are resampled."""
    low, high = find_interval(values.cast(pl.Float64), clusters)
    return {
        "value": round(float(values.mean()), digits),  # type: ignore[arg-type]
        "low": round(low or 0.0, digits),
        "high": round(high or 0.0, digits),
    }


def average(runs: Sequence[Measured]) -> pl.DataFrame:
    """instruction, prompt_id, share and met of each held-out prompt: the means over its samples and
    over the seeds."""
    rows = pl.concat([pl.DataFrame(run["heldout"]) for run in runs])
    return (
        rows.group_by("instruction", "prompt_id")
        .agg(pl.col("share", "met").cast(pl.Float64).mean())
        .sort("prompt_id")
    )


def compare(runs: Sequence[Measured], others: Sequence[Measured], column: str) -> dict[str, float]:
    """The difference of two policies on the same prompts."""
    one, other = average(runs), average(others)
    return estimate(one[column] - other[column], one["instruction"])


def describe_policy(runs: Sequence[Measured]) -> dict[str, Any]:
    """How well a policy's held-out responses meet their constraints, how long they are, and how far
    it is from the start."""
    prompts = average(runs)
    heldout = pl.concat([pl.DataFrame(run["heldout"]) for run in runs])
    sampled = [row for run in runs for row in run["sampled"] if row["ratio"] is not None]
    ratios = pl.DataFrame(sampled)
    return {
        "seeds": [run["seed"] for run in runs],
        "share": estimate(prompts["share"], prompts["instruction"]),
        "met": estimate(prompts["met"], prompts["instruction"]),
        "share_of_each_seed": [
            round(float(pl.DataFrame(run["heldout"])["share"].mean()), 3)  # type: ignore[arg-type]
            for run in runs
        ],
        "tokens": round(float(heldout["tokens"].mean()), 1),  # type: ignore[arg-type]
        "finished": round(float(heldout["finished"].mean()), 3),  # type: ignore[arg-type]
        "kl": estimate(ratios["ratio"], ratios["instruction"]) if sampled else None,
    }


def read_pairs(runs: Sequence[Measured]) -> pl.DataFrame:
    """The pairs with SCORES, the changes of their log-probabilities and `displacement`."""
    rows = pl.concat([pl.DataFrame(run["pairs"], infer_schema_length=None) for run in runs])
    return rows.with_columns(
        change_chosen=pl.col("after_chosen") - pl.col("before_chosen"),
        change_rejected=pl.col("after_rejected") - pl.col("before_rejected"),
        mean_logprob_chosen=pl.col("before_chosen") / pl.col("tokens_chosen"),
    ).with_columns(displacement=-pl.col("change_chosen"))


def describe_pairs(runs: Sequence[Measured]) -> dict[str, Any]:
    """What training did to the log-probabilities of the arm's own pairs."""
    pairs = read_pairs(runs)
    per_token = {
        side: pairs[f"change_{side}"] / pairs[f"tokens_{side}"] for side in ("chosen", "rejected")
    }
    figures: dict[str, Any] = {
        "pairs": runs[0]["training"].get("pairs"),
        "measured": pairs["pair_id"].n_unique(),
        "steps": runs[0]["training"].get("steps"),
        "tokens_read": runs[0]["training"].get("tokens"),
        "displaced": estimate((pairs["change_chosen"] < 0).cast(pl.Float64), pairs["pair_id"]),
    }
    for side, changes in per_token.items():
        figures[f"change_{side}"] = estimate(pairs[f"change_{side}"], pairs["pair_id"], 2)
        figures[f"change_{side}_per_token"] = estimate(changes, pairs["pair_id"], 4)
    lengths = pairs.select(pl.col("tokens_chosen", "tokens_rejected").mean()).row(0)
    figures["tokens_chosen"], figures["tokens_rejected"] = (round(x, 1) for x in lengths)
    figures["spearman"] = correlate(pairs, pairs["displacement"])
    figures["spearman_per_token"] = correlate(pairs, -per_token["chosen"])
    return figures


def correlate(pairs: pl.DataFrame, displacement: pl.Series) -> dict[str, float | None]:
    """The rank correlation of each score with the displacement; None where one never varies."""
    found: dict[str, float | None] = {}
    for name in SCORES:
        rows = pairs.select(score=name, moved=displacement).drop_nulls()
        value = rows.select(pl.corr("score", "moved", method="spearman")).item()
        found[name] = None if value is None or np.isnan(value) else round(float(value), 3)
    return found


def summarize(start: Measured, runs: Sequence[Measured]) -> dict[str, Any]:
    """All figures: of the start, of each arm that was measured, and of each two arms."""
    by_arm: dict[str, list[Measured]] = {}
    for run in runs:
        by_arm.setdefault(run["arm"], []).append(run)
    arms = {}
    for arm, of_arm in by_arm.items():
        with_pairs = [run for run in of_arm if "pairs" in run]
        arms[arm] = {
            **describe_policy(of_arm),
            "share_gain": compare(of_arm, [start], "share"),
            "met_gain": compare(of_arm, [start], "met"),
            **(describe_pairs(with_pairs) if with_pairs else {}),
        }
    names = list(by_arm)
    between = {
        f"{one} - {other}": compare(by_arm[one], by_arm[other], "share")
        for number, one in enumerate(names)
        for other in names[number + 1 :]
    }
    return {"start": describe_policy([start]), "arms": arms, "between": between}


class Gain(Report):
    """The figures as tables."""

    figures: dict[str, Any]

    def blocks(self) -> list[Block]:
        """What was chosen, held-out figures, log-probabilities, correlations and differences
        between arms."""
        start, arms = self.figures["start"], self.figures["arms"]
        chosen = [
            [
                arm,
                *(f"{of[name]:.0%}" for name in _SHARES),
                *(f"{of[name]:.1f}" for name in _TOKENS),
            ]
            for arm, of in self.figures["choice"].items()
        ]
        heldout = [["start", *_list_heldout(start), "", ""]]
        heldout += [
            [arm, *_list_heldout(of), _show(of["share_gain"], sign=True),
             _show(of["met_gain"], sign=True)]
            for arm, of in arms.items()
        ]  # fmt: skip
        moved = [
            [
                arm,
                str(of["pairs"]),
                str(of["steps"]),
                f"{of['tokens_read'] or 0:,}",
                _show(of["change_chosen"], sign=True, digits=1),
                _show(of["change_rejected"], sign=True, digits=1),
                f"{of['change_chosen_per_token']['value']:+.3f}",
                f"{of['change_rejected_per_token']['value']:+.3f}",
                _show(of["displaced"]),
            ]
            for arm, of in arms.items()
            if "displaced" in of
        ]
        told = [
            [arm, what, *("" if of[key][s] is None else f"{of[key][s]:+.2f}" for s in SCORES)]
            for arm, of in arms.items()
            if "displaced" in of
            for what, key in (("sum", "spearman"), ("per token", "spearman_per_token"))
        ]
        between = [[names, _show(of, sign=True)] for names, of in self.figures["between"].items()]
        tables = (
            ("the pairs of each arm: the chosen response, and the tokens of both", _CHOSEN, chosen),
            ("held-out prompts; 95 % intervals by instruction", _HELDOUT, heldout),
            ("the arm's own pairs after training, log p in nats; intervals by pair", _MOVED, moved),
            ("rank correlation with the displacement of the chosen response", _TOLD, told),
            ("constraint share of one arm less that of another", _BETWEEN, between),
        )
        blocks: list[Block] = []
        for title, heads, rows in tables:
            if rows:
                blocks += [title, Grid(heads, [tuple(row) for row in rows], range(1, len(heads)))]
        return blocks


_SHARES = ("meets_more", "meets_fewer", "shorter")
_TOKENS = ("tokens_chosen", "tokens_rejected")
_CHOSEN = ("arm", "meets more", "meets fewer", "is shorter", "tokens chosen", "tokens rejected")
_HELDOUT = ("policy", "share", "all met", "tokens", "finished", "KL", "share +", "all met +")
_MOVED = (
    "arm", "pairs", "steps", "tokens", "chosen", "rejected", "chosen/token", "rejected/token",
    "displaced",
)  # fmt: skip
_TOLD = ("arm", "log p", "CHES", "normalised", "log p/token", "tokens", "margin")
_BETWEEN = ("arms", "share")


def _list_heldout(of: Mapping[str, Any]) -> list[str]:
    kl = of["kl"]
    return [
        _show(of["share"]),
        _show(of["met"]),
        f"{of['tokens']:.1f}",
        f"{of['finished']:.2f}",
        f"{kl['value']:.2f}" if kl else "",
    ]


def _show(of: Mapping[str, float], sign: bool = False, digits: int = 3) -> str:
    low, value, high = (
        f"{of[name]:{'+' if sign else ''}.{digits}f}" for name in ("low", "value", "high")
    )
    return f"{value} ({low} to {high})"
