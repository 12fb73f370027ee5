"""The figures of benchmarks/gain.py, and its two strategies, on cases that a hand can check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from gain_figures import Gain, summarize
from gain_parts import HighestChes, HighestChesConfig, RandomPairs, RandomPairsConfig

# Its engines.py would stand in for the folder of that name among the tests.
sys.path.pop()


def respond(shares: list[float]) -> list[dict[str, Any]]:
    """A response to each of as many prompts, two of an instruction."""
    return [
        {
            "prompt_id": f"{number}",
            "instruction": number // 2,
            "share": share,
            "met": share == 1,
            "tokens": 10 + number,
            "finished": True,
            "ratio": None,
        }
        for number, share in enumerate(shares)
    ]


def measure(arm: str, seed: int, shares: list[float], after: list[float]) -> dict[str, Any]:
    """An arm with three pairs, whose chosen responses have 10, 20 and 30 tokens."""
    pairs = [
        {
            "pair_id": f"{number}",
            "ches": float(number),
            "ches_normalized": 1.0,
            "margin": -float(number),
            "tokens_chosen": 10 * (number + 1),
            "tokens_rejected": 10,
            "before_chosen": -20.0,
            "after_chosen": logprob,
            "before_rejected": -20.0,
            "after_rejected": -25.0,
        }
        for number, logprob in enumerate(after)
    ]
    sampled = [{**row, "ratio": 0.5} for row in respond(shares)]
    training = {"steps": 3, "pairs": 9, "tokens": 1_000}
    heldout = respond(shares)
    return {"arm": arm, "seed": seed, "heldout": heldout, "sampled": sampled, "pairs": pairs,
            "training": training}  # fmt: skip


def test_figures_of_arms() -> None:
    start = {"arm": "start", "seed": 0, "heldout": respond([0.5, 0.5, 0.0, 1.0]), "sampled": []}
    runs = [
        measure("one", 0, [0.5, 1.0, 0.5, 1.0], [-19.0, -21.0, -23.0]),
        measure("one", 1, [0.5, 1.0, 0.0, 1.0], [-19.0, -21.0, -23.0]),
        measure("other", 0, [0.5, 0.5, 0.0, 1.0], [-20.0, -20.0, -14.0]),
    ]
    figures = summarize(start, runs)
    one, other = figures["arms"]["one"], figures["arms"]["other"]
    assert figures["start"]["share"]["value"] == 0.5
    # Of the prompts 0, 0.5, 0.25 (the mean of both seeds) and 0 more.
    assert one["share_gain"]["value"] == 0.188
    assert one["met_gain"]["value"] == 0.25
    assert one["share_of_each_seed"] == [0.75, 0.625]
    assert other["share_gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert figures["between"]["one - other"] == one["share_gain"]
    assert one["kl"]["value"] == 0.5
    assert (one["pairs"], one["measured"]) == (9, 3)
    assert figures["start"]["kl"] is None
    assert one["displaced"]["value"] == 0.667
    assert one["change_chosen"]["value"] == -1.0
    assert one["change_rejected"]["value"] == -5.0
    assert one["change_chosen_per_token"]["value"] == round((0.1 - 0.05 - 0.1) / 3, 4)
    assert one["spearman"] == {
        "ches": 1.0, "ches_normalized": None, "mean_logprob_chosen": 1.0, "tokens_chosen": 1.0,
        "margin": -1.0,
    }  # fmt: skip
    shares = dict.fromkeys(("meets_more", "meets_fewer", "shorter"), 0.25)
    figures["choice"] = {"one": {**shares, "tokens_chosen": 31.5, "tokens_rejected": 62.9}}
    printed = str(Gain(figures=figures))
    assert "25%" in printed
    assert "62.9" in printed
    assert "one - other" in printed
    assert "+0.188" in printed


def test_strategies_take_one_pair_of_a_prompt_and_as_many_as_they_are_told() -> None:
    rows = pl.DataFrame(
        {
            "prompt_id": ["a", "a", "b", "c"],
            "chosen": ["1", "2", "3", "4"],
            "rejected": ["5", "6", "7", "8"],
            "ches": [-1.0, -2.0, -3.0, None],
        }
    )
    highest = HighestChes(HighestChesConfig(pairs=1)).select(rows)
    assert highest.filter(pl.col("reason").is_null())["chosen"].to_list() == ["1"]
    every = HighestChes(HighestChesConfig(pairs=9)).select(rows)
    assert every.filter(pl.col("reason").is_null())["chosen"].to_list() == ["1", "3"]
    drawn = RandomPairs(RandomPairsConfig(pairs=2)).select(rows)
    assert drawn.height == rows.height
    assert drawn.filter(pl.col("reason").is_null())["prompt_id"].n_unique() == 2
    shuffled = RandomPairs(RandomPairsConfig(pairs=2)).select(rows.reverse())
    assert shuffled.sort("chosen").equals(drawn.sort("chosen"))
