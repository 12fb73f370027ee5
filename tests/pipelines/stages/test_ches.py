"""The stage ches: CHES of all ordered pairs, and pairs chosen and dropped by it."""

from __future__ import annotations

from pathlib import Path

import flows
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from prefdata.config import load_params
from prefdata.errors import ConfigError
from prefdata.pipelines.run import check_params

KEYS = ["prompt_id", "chosen_id", "rejected_id"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ches, and pairs chosen by it."""
    folder = tmp_path_factory.mktemp("measured")
    params = flows.params(folder, pair={"strategy": {"kind": "lowest_ches"}})
    stats = flows.run(params, *"ingest generate judge consensus ches pair augment filter".split())
    responses = flows.read(folder, "responses")
    assert 0 < stats["ches"].usage["hidden_sums policy"].requests <= responses.height
    # The filter takes what the stage has measured.
    assert not stats["filter"].usage
    return folder


def test_every_ordered_pair_of_a_prompt_is_measured_by_one_call_per_response(
    measured: Path,
) -> None:
    responses, ches = flows.read(measured, "responses"), flows.read(measured, "ches")
    found = set(ches.select("chosen_id", "rejected_id").iter_rows())
    of_prompt = responses.group_by("prompt_id").agg("response_id")["response_id"].to_list()
    assert found == {(i, j) for ids in of_prompt for i in ids for j in ids if i != j}
    # Both orders: G[i,j] - G[i,i] and G[i,j] - G[j,j], so their sum is at most 0.
    swapped = ches.select(chosen_id="rejected_id", rejected_id="chosen_id", back="ches")
    both = ches.join(swapped, on=["chosen_id", "rejected_id"])
    assert both.height == ches.height
    assert (both["ches"] + both["back"] <= 1e-9).all()


def test_the_filter_measures_as_the_stage_does(measured: Path) -> None:
    """With the table, and without the stage, where it asks the model itself."""
    filtered = flows.read(measured, "filtered").select(*KEYS, "ches")
    joined = filtered.join(flows.read(measured, "ches").rename({"ches": "wanted"}), on=KEYS)
    assert joined.height == filtered.height > 0
    assert (joined["ches"] == joined["wanted"]).all()
    alone = load_params(measured / "params.yaml").model_copy(update={"ches": None})
    usage = flows.run(alone, "filter")["filter"].usage["hidden_sums policy"]
    assert usage.cached == usage.requests > 0
    again = flows.read(measured, "filtered").select(*KEYS, "ches")
    assert_frame_equal(again, filtered, check_exact=True)


def test_pairs_are_chosen_by_their_ches(measured: Path) -> None:
    a_wins = pl.col("preference") > 0.5
    comparisons = flows.read(measured, "labels").select(
        "prompt_id",
        chosen_id=pl.when(a_wins).then("response_a").otherwise("response_b"),
        rejected_id=pl.when(a_wins).then("response_b").otherwise("response_a"),
    )
    comparisons = comparisons.join(flows.read(measured, "ches"), on=KEYS)
    lowest = comparisons.group_by("prompt_id").agg(pl.col("ches_normalized").min())
    pairs = flows.read(measured, "pairs").select(KEYS)
    chosen = pairs.join(comparisons, on=KEYS)
    assert chosen.height == pairs.height == lowest.height == 20
    both = chosen.join(lowest, on="prompt_id", suffix="_lowest")
    assert (both["ches_normalized"] == both["ches_normalized_lowest"]).all()


def test_failed_calls_are_dropped_and_spare_the_others(tmp_path: Path) -> None:
    failing = {"engine": "scripted", "model": "judge", "options": {"fail": ["Question 7:"]}}
    models = {**flows.SCRIPTED["models"], "failing": failing}
    params = flows.params(tmp_path, models=models, ches={"model": "failing"})
    stats = flows.run(params, "ingest", "generate", "ches")["ches"]
    dropped = flows.read(tmp_path, "dropped/ches")
    assert dropped.height == stats.faults == 12
    assert dropped["fault"].all()
    assert set(dropped["detail"]) == {"model_error: scripted failure"}
    assert flows.read(tmp_path, "ches").height == 19 * 12


def test_without_the_section_there_is_no_such_stage(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 4, ches=None)
    with pytest.raises(ConfigError, match="no section `ches`"):
        check_params(params, ["ches"])
    flows.run(params)
    assert (flows.find_version(tmp_path) / "COMPLETED").exists()
    assert not (tmp_path / "data" / "ches").exists()
    by_ches = flows.params(tmp_path, ches=None, pair={"strategy": {"kind": "lowest_ches"}})
    with pytest.raises(ConfigError, match="lowest_ches goes by CHES"):
        check_params(by_ches, ["pair"])
