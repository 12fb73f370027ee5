"""The Python API: its examples, what it loads, and that two runs don't meet."""

from __future__ import annotations

import doctest
import subprocess
import sys
import threading
from pathlib import Path

import flows
import polars as pl
import pytest

import prefdata
from prefdata import api
from prefdata.errors import ConfigError, ModelError
from prefdata.inference.progress import Progress

MODELS = {
    "policy": {"engine": "scripted", "model": "policy"},
    "reference": {"engine": "scripted", "model": "reference"},
}
IMPLICIT = {"kind": "implicit_reward", "policy": "policy", "reference": "reference"}


def test_importing_it_loads_nothing() -> None:
    code = (
        "import sys, prefdata; assert 'judge' in dir(prefdata); "
        "print([m for m in ('polars', 'pydantic', 'apache_beam', 'torch', 'rich') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_name_is_there_and_has_an_example() -> None:
    assert set(api.__all__) | {"__version__"} == set(prefdata.__all__)
    for name in api.__all__:
        assert getattr(prefdata, name) is getattr(api, name)
        if name != "load_params":
            assert f">>> prefdata.{name}(" in getattr(api, name).__doc__ or name == "run"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = prefdata.nothing


def test_the_examples_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prefdata.run(flows.params(tmp_path), progress=False)
    for module in (api, prefdata):
        results = doctest.testmod(module, extraglobs={"prefdata": prefdata})
        assert results.attempted
        assert not results.failed


def test_a_judge_says_the_same_whichever_response_comes_first() -> None:
    rows = pl.DataFrame(
        {
            "row": [7, 8],
            "prompt": ["Name a river.", "Name a river."],
            "response_a": ["The Rhine.", "No."],
            "response_b": ["No.", "The Rhine."],
        }
    )
    judged = prefdata.judge(rows, IMPLICIT, MODELS, progress=False)
    assert judged.select(rows.columns).equals(rows)
    one, other = judged["preference"].to_list()
    assert one == pytest.approx(1 - other)
    assert judged["reward_a"].to_list() == judged["reward_b"].reverse().to_list()
    turns = rows.with_columns(
        prompt=pl.concat_list(pl.struct(role=pl.lit("user"), content="prompt"))
    )
    again = prefdata.judge(turns, IMPLICIT, MODELS, progress=False)
    assert again["preference"].to_list() == [one, other]


def test_what_can_not_be_judged_says_why() -> None:
    rows = [{"prompt": "p", "response_a": "x", "response_b": "x"}]
    judged = prefdata.judge(rows, IMPLICIT, MODELS, progress=False)
    assert judged.select("preference", "unscored").rows() == [(None, "identical_responses")]
    failing = {**MODELS, "policy": {**MODELS["policy"], "options": {"fail": ["poison"]}}}
    rows = [{"prompt": "poison", "response_a": "x", "response_b": "y"}]
    (unscored,) = prefdata.judge(rows, IMPLICIT, failing, progress=False)["unscored"]
    assert unscored


def test_finished_calls_are_kept_in_the_memo(tmp_path: Path) -> None:
    class Count(Progress):
        cached = 0

        def start_call(self, stage: str, call: str, requests: int, cached: int) -> None:
            self.cached += cached

    rows = [{"prompt": "p", "chosen": "x", "rejected": "y"}]
    first, again = Count(), Count()
    one, other = (
        prefdata.measure_ches(rows, MODELS["policy"], memo=str(tmp_path), progress=progress)
        for progress in (first, again)
    )
    assert one.equals(other)
    assert (first.cached, again.cached) == (0, 2)


def test_ches_is_higher_for_responses_that_are_alike() -> None:
    rows = [{"prompt": "p", "chosen": "x", "rejected": rejected} for rejected in ("y", "z")]
    measured = prefdata.measure_ches(rows, MODELS["policy"], progress=False)
    assert measured.columns == [
        "prompt", "chosen", "rejected", "ches", "ches_normalized", "last_hidden_inner_product",
        "fault",
    ]  # fmt: skip
    assert measured["ches"].is_finite().all()


def test_wrong_input_says_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column rejected; they have: prompt, chosen"):
        prefdata.measure_ches([{"prompt": "p", "chosen": "x"}], "m")
    with pytest.raises(ConfigError, match="'oracle' is unknown"):
        prefdata.judge([{"prompt": "p", "response_a": "x", "response_b": "y"}], {"kind": "oracle"})
    with pytest.raises((ConfigError, ModelError)):
        prefdata.judge([{"prompt": "p", "response_a": "x", "response_b": "y"}], IMPLICIT)
    with pytest.raises(ConfigError, match="'pears' is no table"):
        prefdata.read(str(tmp_path), "pears")


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    both = [flows.params(tmp_path / name, count) for name, count in (("a", 8), ("b", 12))]
    stages = ["ingest", "generate"]
    funnels: dict[int, int] = {}

    def run(number: int) -> None:
        funnel = prefdata.run(both[number], stages, progress=False)
        funnels[number] = funnel.stages["generate"].rows_out

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert funnels == {0: 32, 1: 48}
    assert prefdata.read(both[0], "responses").height == 32
