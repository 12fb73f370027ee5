"""Cycles of judging, through the stage: what is shown, what is asked again, what is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.accounting.stats import Stats
from prefdata.config import Params, load_params
from prefdata.errors import ConfigError
from prefdata.pipelines.run import check_params
from prefdata.pipelines.stages import demonstrations

PAIRWISE: dict[str, Any] = {"kind": "pairwise", "model": "policy"}
LISTWISE: dict[str, Any] = {"kind": "listwise", "model": "policy"}
IMPLICIT: dict[str, Any] = {"kind": "implicit_reward", "beta": 0.1}
TABLES = ("judgments", "demonstrations", "dropped")


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the prompts and responses that all tests judge."""
    folder = tmp_path_factory.mktemp("sampled")
    params = flows.params(folder, 12, generate={"n": 3}, judge=settings())
    flows.run(params, "ingest", "generate")
    return folder


def settings(**changes: Any) -> dict[str, Any]:
    judges = {"judges": [PAIRWISE, LISTWISE, IMPLICIT], "demonstrations": {"count": 2}}
    return {**judges, **changes}


def prepare(
    folder: Path, sampled: Path, consensus: str = "agreement_ranking", **judge: Any
) -> Params:
    """The parameters, with prompts and responses in their tables."""
    ranking = {"rankers": ["pairwise", "implicit_reward"]}
    shutil.copytree(sampled, folder, dirs_exist_ok=True)
    path = flows.write_params(
        folder,
        generate={"n": 3},
        judge=settings(**judge),
        consensus={"kind": consensus, **(ranking if consensus == "agreement_ranking" else {})},
    )
    return load_params(path)


def judge(params: Params) -> tuple[pl.DataFrame, Stats]:
    stats = flows.run(params, "judge")["judge"]
    return flows.read(Path(params.data).parent, "judgments"), stats


def test_only_the_judges_that_are_shown_something_are_asked_again(
    tmp_path: Path, sampled: Path
) -> None:
    once, stats_once = judge(prepare(tmp_path / "once", sampled, demonstrations=None))
    shown = {"judges": ["pairwise"]}
    twice, stats = judge(prepare(tmp_path / "twice", sampled, demonstrations=shown))
    changed = {
        name: not rows.equals(once.filter(pl.col("judge") == name))
        for (name,), rows in twice.group_by("judge")
    }
    assert changed == {"pairwise": True, "listwise": False, "implicit_reward": False}
    used, before = stats.usage, stats_once.usage
    again = 2 * twice.filter(pl.col("judge") == "pairwise").height
    assert used["choose policy"].requests == before["choose policy"].requests + again
    call = "loglikelihood policy"
    assert used[call].requests == before[call].requests
    # Counted once, though both cycles judge them.
    assert stats.rows_in == stats.rows_out + sum(stats.dropped.values()) == 36


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(tmp_path: Path, sampled: Path) -> None:
    """And without the section nothing is shown, and what an earlier run showed is gone."""
    params = prepare(tmp_path, sampled)
    judge(params)
    before = flows.hash_files(tmp_path, *TABLES)
    assert any(name.startswith("demonstrations") for name in before)
    _, stats = judge(params)
    assert flows.hash_files(tmp_path, *TABLES) == before
    assert all(asked.cached == asked.requests > 0 for asked in stats.usage.values())
    judge(prepare(tmp_path, sampled, demonstrations=None))
    assert not (tmp_path / "data/demonstrations/_table.json").exists()


def test_what_is_shown_is_of_train_prompts_and_one_more_than_asked_for(tmp_path: Path) -> None:
    params = flows.params(tmp_path, 30, generate={"n": 3}, judge=settings())
    flows.run(params, "ingest", "generate", "judge")
    shown, prompts = flows.read(tmp_path, "demonstrations"), flows.read(tmp_path, "prompts")
    assert shown["rank"].to_list() == [0, 1, 2]
    assert "test" in prompts["split"].to_list()
    splits = shown.join(prompts, on="prompt_id")["split"].to_list()
    assert splits == ["train"] * 3
    assert (shown["soft_label"] > 0.5).all()


@pytest.mark.parametrize("consensus", ["agreement_ranking", "noise_aware", "mean"])
def test_buckets_change_nothing_whatever_the_consensus(
    consensus: str, tmp_path: Path, sampled: Path
) -> None:
    """Also where its labels need all the others."""
    found = []
    for buckets in (2, 1):
        folder = tmp_path / str(buckets)
        cycles = {"cycles": 3} if consensus != "agreement_ranking" else {"count": 2}
        params = prepare(folder, sampled, consensus, demonstrations=cycles)
        params = params.model_copy(update={"buckets": buckets})
        if buckets == 1:
            # Bucketed anew; the responses are in the memo that was copied.
            flows.run(params, "ingest", "generate")
        rows, _ = judge(params)
        rows = rows.sort("prompt_id", "judge", "response_a", "response_b")
        found.append((flows.hash_files(folder, "demonstrations"), rows))
    (shown, rows), (shown_apart, apart) = found
    assert shown == shown_apart
    numbers = pl.col(pl.Float64)
    assert rows.with_columns(numbers.round(9)).equals(apart.with_columns(numbers.round(9)))


def test_the_table_is_whole_after_the_last_cycle_only(
    tmp_path: Path, sampled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends between two cycles leaves nothing that a later stage would take."""
    params = prepare(tmp_path, sampled)
    wanted, _ = judge(params)

    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demonstrations, "choose", stop)
        with pytest.raises(KeyboardInterrupt):
            judge(params)
    for name in ("judgments", "demonstrations"):
        assert not (tmp_path / "data" / name / "_table.json").exists()
    assert judge(params)[0].equals(wanted)


def test_where_nothing_was_agreed_on_the_next_cycle_asks_nothing_new(
    tmp_path: Path, sampled: Path
) -> None:
    params = prepare(tmp_path, sampled, "mean")
    consensus = params.consensus.model_copy(update={"min_confidence": 1.0})
    params = params.model_copy(update={"consensus": consensus})
    _, stats = judge(params)
    assert flows.read(tmp_path, "demonstrations").is_empty()
    usage = stats.usage["choose policy"]
    assert usage.requests == 2 * usage.cached > 0
    flows.run(params, "consensus")
    assert flows.read(tmp_path, "labels").is_empty()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judges": [PAIRWISE]}, "agrees with nobody"),
        ({"judges": [IMPLICIT, {"kind": "mean_logprob"}]}, "no judge of judge.judges"),
        ({"demonstrations": {"judges": ["implicit_reward"]}}, "of judge.judges can: pairwise, lis"),
        ({"demonstrations": {"judges": ["nobody"]}}, "'nobody' can't be shown"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    params = flows.params(tmp_path, judge=settings(**changes))
    with pytest.raises(ConfigError) as caught:
        check_params(params, ["judge"])
    assert message in f"{caught.value} {caught.value.remedy}"
