"""How judges treat policies: shares of wins, beside those of others, and self-preference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest
from audit.test_audit import rows
from hypothesis import given
from hypothesis import strategies as st

from prefdata.audit.policies import compare_policies
from prefdata.cli.app import main
from prefdata.comparisons.keys import COMPARISON


def judge(*made: tuple[str, str, float | None]) -> pl.DataFrame:
    """A judge's P(a ≻ b) of responses of two policies, each to a prompt of its own."""
    return rows(
        *(
            {
                "policy_a": a, "policy_b": b, "model_a": f"model {a}", "model_b": f"model {b}",
                "preference": p,
            }
            for a, b, p in made
        )
    )  # fmt: skip


def test_a_policy_wins_ties_count_half_and_one_policy_s_own_comparisons_do_not() -> None:
    made = judge(
        ("x", "y", 0.9), ("y", "x", 0.5), ("x", "z", 0.2), ("x", "x", 0.9), ("x", "y", None)
    )  # fmt: skip
    other = judge(
        ("x", "y", 0.1), ("y", "x", 0.5), ("x", "z", None), ("x", "x", 0.1), ("x", "y", 0.1)
    )  # fmt: skip
    labels = other.select(*COMPARISON, "verdict").head(1)
    x, y, z = compare_policies(made, other, labels, ["model x"])
    assert [each["policy"] for each in (x, y, z)] == ["x", "y", "z"]
    assert (x["comparisons"], x["won"], x["others_won"], x["consensus_won"]) == (3, 0.5, 0.25, 0)
    assert (y["comparisons"], y["won"], y["others_won"], y["consensus_won"]) == (2, 0.25, 0.75, 1)
    assert (z["comparisons"], z["won"], z["others_won"], z["consensus_won"]) == (1, 1, None, None)
    # Of the two comparisons that the other judge scored: 0.75 less 0.25.
    assert x["excess"] == 0.5
    assert z["excess"] is z["excess_low"] is None
    assert [each["own"] for each in (x, y, z)] == [True, False, False]


def test_the_interval_is_that_of_prompts() -> None:
    made = judge(*[("x", "y", 0.9 if n % 4 else 0.1) for n in range(400)])
    x, y = compare_policies(made, made.clear(), None, [])
    assert (x["won"], y["won"]) == (0.75, 0.25)
    error = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert x["low"] == pytest.approx(0.75 - error, abs=0.01)
    assert x["high"] == pytest.approx(0.75 + error, abs=0.01)
    # Ten annotators who say the same of each prompt are no more sure.
    copied = pl.concat([made.with_columns(annotator=pl.lit(f"{n}")) for n in range(10)])
    assert compare_policies(copied, made.clear(), None, [])[0]["low"] == x["low"]


policies = st.sampled_from("xyz")


@given(st.lists(st.tuples(policies, policies, st.sampled_from([0.1, 0.5, 0.9, None])), max_size=8))
def test_wins_and_losses_add_up_and_no_order_matters(
    made: list[tuple[str, str, float | None]],
) -> None:
    one = judge(*made) if made else judge(("x", "y", 0.5)).clear()
    found = compare_policies(one, one, None, [])
    played = sum(a != b and p is not None for a, b, p in made)
    assert sum(each["comparisons"] for each in found) == 2 * played
    assert sum(each["won"] * each["comparisons"] for each in found) == pytest.approx(played)
    assert all(each["excess"] == 0 for each in found)
    assert compare_policies(one.reverse(), one, None, []) == found


def test_the_command_shows_how_each_judge_treats_each_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {name: {"engine": "scripted", "model": name} for name in ("policy", "reference")}
    flows.run(
        flows.params(
            tmp_path,
            8,
            models=models,
            generate={"n": 2, "policies": [{"model": "policy"}, {"model": "reference"}]},
            judge={
                "judges": [
                    {"kind": "pairwise", "model": "policy"},
                    {"kind": "pairwise", "model": "reference", "name": "other"},
                ]
            },
        ),
        "ingest", "generate", "judge", "consensus",
    )  # fmt: skip
    arguments = ["audit", "--params", str(tmp_path / "params.yaml")]
    assert main([*arguments, "--json"]) == 0
    judges: dict[str, Any] = orjson.loads(capsys.readouterr().out)["judges"]
    policy, reference = judges["pairwise"]["policies"]
    assert (policy["policy"], policy["own"]) == ("policy", True)
    # Two of each policy to each of eight prompts, without those that repeat another one.
    assert 24 < policy["comparisons"] <= 32
    assert (reference["policy"], reference["own"]) == ("reference", False)
    assert policy["won"] + reference["won"] == pytest.approx(1)
    assert [each["own"] for each in judges["other"]["policies"]] == [False, True]
    assert policy["others_won"] == judges["other"]["policies"][0]["won"]
    assert policy["consensus_won"] is not None
    assert main(arguments) == 0
    assert "policy (own)" in capsys.readouterr().out
