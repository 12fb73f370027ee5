"""Cycles of judging, through the stage: what is shown, what is asked again, what is written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import flows
import polars as pl
import pytest

from prefdata.config import Params
from prefdata.errors import ConfigError
from prefdata.pipelines.check import check_parts
from prefdata.pipelines.stages import cycles
from prefdata.pipelines.stages.base import read_stats
from prefdata.pipelines.stages.registry import STAGES
from prefdata.records import CONSENSUS

PAIRWISE: dict[str, Any] = {"kind": "pairwise", "model": "policy"}
LISTWISE: dict[str, Any] = {"kind": "listwise", "model": "policy"}
IMPLICIT: dict[str, Any] = {"kind": "implicit_reward", "beta": 0.1}


def prepared(folder: Path, count: int = 12, **changes: Any) -> Params:
    """The parameters, with prompts and responses in their tables."""
    folder.mkdir(exist_ok=True)
    judge = {
        "judges": [PAIRWISE, LISTWISE, IMPLICIT],
        "consensus": {"kind": "agreement_ranking", "rankers": ["pairwise", "implicit_reward"]},
        "demonstrations": {"count": 2},
        **changes.pop("judge", {}),
    }
    params = flows.params(folder, count, judge=judge, generate={"n": 3}, **changes)
    for stage in ("ingest", "generate"):
        STAGES[stage](params, [], True)
    return params


def judged(params: Params) -> pl.DataFrame:
    STAGES["judge"](params, [], True)
    rows = pl.read_parquet(Path(params.data) / "judgments" / "*.parquet")
    return rows.sort("prompt_id", "judge", "response_a", "response_b")


def digests(folder: str, names: tuple[str, ...]) -> dict[str, str]:
    """The bytes of everything in the tables of these names."""
    files = sorted(f for name in names for f in (Path(folder) / name).rglob("*") if f.is_file())
    assert files
    root = Path(folder)
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_only_the_judges_that_are_shown_something_are_asked_again(tmp_path: Path) -> None:
    once = judged(prepared(tmp_path / "once", judge={"demonstrations": None}))
    usage = read_stats(prepared(tmp_path / "once", judge={"demonstrations": None}), "judge").usage
    params = prepared(tmp_path / "twice", judge={"demonstrations": {"judges": ["pairwise"]}})
    twice = judged(params)
    changed = {
        judge: not rows.equals(once.filter(pl.col("judge") == judge))
        for (judge,), rows in twice.group_by("judge")
    }
    assert changed == {
        "pairwise": True, "listwise": False, "implicit_reward": False, CONSENSUS: True,
    }  # fmt: skip
    stats = read_stats(params, "judge")
    again = 2 * twice.filter(pl.col("judge") == "pairwise").height
    assert stats.usage["choose policy"].requests == usage["choose policy"].requests + again
    assert stats.usage["score policy"].requests == usage["score policy"].requests
    # Counted once, though both cycles label them.
    assert stats.rows_in == stats.rows_out + sum(stats.rejected.values()) == 36


def test_buckets_and_runs_change_no_byte_of_what_is_shown(tmp_path: Path) -> None:
    found = []
    for buckets in (1, 4, 8):
        params = prepared(tmp_path / str(buckets), buckets=buckets, memo=None)
        rows = judged(params)
        found.append((digests(params.data, ("demonstrations",)), rows))
    for shown, rows in found[1:]:
        assert shown == found[0][0]
        scores = pl.col("reward_a", "reward_b")
        exact = [frame.with_columns(scores.round(9)) for frame in (rows, found[0][1])]
        assert exact[0].equals(exact[1])


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    params = prepared(tmp_path)
    judged(params)
    names = ("judgments", "demonstrations", "dropped")
    before = digests(params.data, names)
    judged(params)
    assert digests(params.data, names) == before
    usage = read_stats(params, "judge").usage
    assert all(asked.cached == asked.requests > 0 for asked in usage.values())


def test_what_is_shown_is_of_train_prompts_and_one_more_than_asked_for(tmp_path: Path) -> None:
    params = prepared(tmp_path, 30)
    judged(params)
    shown = pl.read_parquet(tmp_path / "data/demonstrations/*.parquet")
    assert shown["rank"].to_list() == [0, 1, 2]
    prompts = pl.read_parquet(tmp_path / "data/prompts/*.parquet")
    assert "test" in prompts["split"].to_list()
    splits = shown.join(prompts, on="prompt_id")["split"].to_list()
    assert splits == ["train"] * 3
    assert (shown["soft_label"] > 0.5).all()


@pytest.mark.parametrize("kind", ["noise_aware", "mean"])
def test_every_consensus_goes_in_cycles(kind: str, tmp_path: Path) -> None:
    """Also one whose labels need all the others."""
    settings = {"judge": {"consensus": {"kind": kind}, "demonstrations": {"cycles": 3}}}
    rows = judged(prepared(tmp_path / "one", buckets=1, **settings))
    apart = judged(prepared(tmp_path / "four", buckets=4, **settings))
    columns = ["prompt_id", "judge", "response_a", "response_b", "flag"]
    assert rows.select(columns).equals(apart.select(columns))
    assert rows["preference"].to_list() == pytest.approx(apart["preference"].to_list(), abs=1e-9)


def test_the_table_is_whole_after_the_last_cycle_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends between two cycles leaves nothing that a later stage would take."""
    params = prepared(tmp_path)
    wanted = judged(params)

    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cycles, "choose", stop)
        with pytest.raises(KeyboardInterrupt):
            judged(params)
    for name in ("judgments", "demonstrations"):
        assert not (tmp_path / "data" / name / "_table.json").exists()
    assert judged(params).equals(wanted)


def test_without_the_section_nothing_is_shown_and_an_earlier_runs_goes(tmp_path: Path) -> None:
    judged(prepared(tmp_path))
    assert (tmp_path / "data/demonstrations/_table.json").exists()
    params = prepared(tmp_path, judge={"demonstrations": None})
    judged(params)
    assert not (tmp_path / "data/demonstrations/_table.json").exists()


def test_where_nothing_was_agreed_on_the_next_cycle_asks_nothing_new(tmp_path: Path) -> None:
    judge = {"consensus": {"kind": "mean", "min_confidence": 1.0}}
    params = prepared(tmp_path, judge=judge)
    rows = judged(params)
    assert CONSENSUS not in rows["judge"].to_list()
    assert pl.read_parquet(tmp_path / "data/demonstrations/*.parquet").height == 0
    usage = read_stats(params, "judge").usage["choose policy"]
    assert usage.requests == 2 * usage.cached > 0


@pytest.mark.parametrize(
    ("judge", "says"),
    [
        ({"judges": [PAIRWISE]}, "agrees with nobody"),
        ({"judges": [IMPLICIT, {"kind": "mean_logprob"}]}, "no judge of judge.judges"),
        ({"demonstrations": {"judges": ["implicit_reward"]}}, "of judge.judges can: pairwise, lis"),
        ({"demonstrations": {"judges": ["nobody"]}}, "'nobody' can't be shown"),
    ],
)
def test_wrong_settings_are_refused_before_any_work(
    judge: dict[str, Any], says: str, tmp_path: Path
) -> None:
    whole = {
        "judges": [PAIRWISE, LISTWISE, IMPLICIT],
        "consensus": {"kind": "mean"},
        "demonstrations": {"count": 2},
        **judge,
    }
    params = flows.params(tmp_path, judge=whole)
    with pytest.raises(ConfigError) as caught:
        check_parts(params, ["judge"])
    assert says in f"{caught.value} {caught.value.remedy}"
