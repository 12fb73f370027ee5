"""Exactly so many pairs: rounds of samples for the prompts that fell short, and what can't be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.cli.app import main
from prefdata.config.generate import GenerateParams
from prefdata.engines.scripted import ScriptedEngine
from prefdata.errors import ConfigError, ModelError, TableError
from prefdata.hashing.ids import prompt_id
from prefdata.pipelines.stages.top_up import choose_prompts

PROMPTS = 24
SECTIONS: dict[str, Any] = {
    "judge": {"judges": [{"kind": "pairwise", "model": "policy"}]},
    "consensus": {"kind": "mean", "min_confidence": 0.65},
    "ches": None,
    "filter": {"filters": [{"kind": "near_identical", "max_similarity": 0.8}]},
}
ALL = {"strategy": {"kind": "all_above_margin", "min_margin": 0.3}}


def make_models(**options: Any) -> dict[str, Any]:
    return {"policy": {"engine": "scripted", "model": "policy", "options": options}}


def write(folder: Path, generate: dict[str, Any], **changes: Any) -> list[str]:
    """Prompts and params.yaml in the folder; the arguments that name it."""
    flows.write_prompts(folder, PROMPTS)
    sections = {"models": make_models(), **SECTIONS, **changes}
    path = flows.write_params(folder, generate=generate, **sections)
    return ["--quiet", "--params", str(path)]


def count_pairs(folder: Path) -> dict[str, int]:
    counts = flows.read(folder, "filtered").group_by("prompt_id").len()
    return dict(counts.iter_rows())


def test_every_prompt_gets_exactly_so_many(tmp_path: Path) -> None:
    given = write(tmp_path, {"n": 3, "accepted_per_prompt": 2, "max_n": 12}, pair=ALL)
    assert main(["run", *given]) == 0
    assert list(count_pairs(tmp_path).values()) == [2] * PROMPTS
    # More than n, and not the same for all: only those that were short got more.
    drawn = flows.read(tmp_path, "responses").group_by("prompt_id").len()["len"]
    assert 3 < drawn.max() <= 12  # type: ignore[operator]
    assert drawn.n_unique() > 1
    assert flows.read(tmp_path, "dropped/top-up").height == 0


@pytest.mark.parametrize("target", [5, PROMPTS])
def test_exactly_so_many_pairs_come_out(tmp_path: Path, target: int) -> None:
    given = write(tmp_path, {"n": 3, "target_pairs": target, "max_n": 15})
    assert main(["run", *given]) == 0
    assert flows.read(tmp_path, "filtered").height == target
    shards = flows.read(tmp_path, "dataset")
    assert shards.height == target
    if target == 5:
        # Enough at once: the most decided stay, and nothing more is drawn.
        assert flows.read(tmp_path, "responses").height == 3 * PROMPTS
        kept, all_ = flows.read(tmp_path, "filtered"), flows.read(tmp_path, "augmented")
        alike = flows.read(tmp_path, "dropped/filter").filter(reason="near_identical_responses")
        left = all_.filter(~pl.col("prompt_id").is_in(alike["origin"].implode()))
        best = left.sort("soft_label", "pair_id", descending=[True, False]).head(5)
        assert sorted(kept["pair_id"]) == sorted(best["pair_id"])


TWO = {
    "models": {name: {"engine": "scripted", "model": name} for name in ("policy", "weak")},
    "pair": {"strategy": {"kind": "strong_weak", "strong": ["policy"], "weak": ["weak"]}},
}
"""Few of the prompts have a strong response over a weak one in the first round."""


def test_rounds_draw_of_every_policy_in_proportion(tmp_path: Path) -> None:
    policies = [{"model": "policy", "n": 2}, {"model": "weak", "n": 4}]
    generate = {"policies": policies, "accepted_per_prompt": 1, "max_n": 20}
    assert main(["run", *write(tmp_path, generate, **TWO, filter={"filters": []})]) == 0
    assert list(count_pairs(tmp_path).values()) == [1] * PROMPTS
    pairs = flows.read(tmp_path, "filtered")
    assert set(pairs["chosen_policy"]) == {"policy"}
    assert set(pairs["rejected_policy"]) == {"weak"}
    of = pl.col("policy")
    drawn = (
        flows.read(tmp_path, "responses")
        .group_by("prompt_id")
        .agg(one=(of == "policy").sum(), two=(of == "weak").sum())
    )
    counts = set(drawn.select("one", "two").iter_rows())
    # Whole rounds in proportion; the last one, which max_n cuts, nearly so.
    assert counts <= {(2, 4), (4, 8), (6, 12), (7, 13)}
    assert len(counts) > 1


def test_a_pool_is_topped_up_to_exactly_so_many_pairs(tmp_path: Path) -> None:
    policies = [{"model": "policy", "weight": 1}, {"model": "weak", "weight": 2}]
    generate = {"n": 4, "policies": policies, "target_pairs": 18, "max_n": 12}
    assert main(["run", *write(tmp_path, generate, **TWO)]) == 0
    assert flows.read(tmp_path, "filtered").height == 18
    drawn = flows.read(tmp_path, "responses").group_by("prompt_id").len()["len"]
    assert drawn.min() == 4
    assert set(drawn) <= {4, 8, 12}


def test_a_target_over_the_prompts_is_reached_by_strategies_that_pair_several(
    tmp_path: Path,
) -> None:
    given = write(tmp_path, {"n": 2, "target_pairs": 2 * PROMPTS, "max_n": 16}, pair=ALL)
    assert main(["run", *given]) == 0
    counts = count_pairs(tmp_path)
    assert sum(counts.values()) == 2 * PROMPTS
    # No prompt has a third pair while another one that has more has lost it.
    assert max(counts.values()) > 1


def test_what_can_not_be_filled_stops_at_the_limit_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One prompt always has the same response, one fails, one is another's near duplicate."""
    given = write(
        tmp_path,
        {"n": 4, "accepted_per_prompt": 1, "max_n": 8, "max_faulty_fraction": 0.5},
        models=make_models(responses={"Question 3:": "Always this."}, fail=["Question 5:"]),
        filter={"filters": [{"kind": "near_duplicates"}]},
    )
    words = "what is the engine good for in the winter garden of the old town by the river "
    with open(tmp_path / "prompts.jsonl", "ab") as prompts:
        for end in ("now?", "then?"):
            prompts.write(orjson.dumps({"prompt": words * 3 + end}) + b"\n")
    assert main(["run", *given]) == 0
    output = capsys.readouterr().out
    assert f"{PROMPTS - 1} of {PROMPTS + 2} wanted pairs; 3 prompts short (" in output
    short = flows.read(tmp_path, "dropped/top-up")
    reasons = dict(short.select("reason", "detail").iter_rows())
    assert sorted(reasons) == ["identical_responses", "model_error", "near_duplicate_prompt"]
    # 8 samples: 28 comparisons, all of them with a response that repeats another.
    same = "0 of 1 pairs from 8 samples, max_n 8; identical_responses 28"
    assert reasons["identical_responses"] == same
    assert reasons["model_error"].startswith("0 of 1 pairs from 4 samples")
    drawn = dict(flows.read(tmp_path, "top_up").select("prompt_id", "drawn").iter_rows())
    closed = {row["origin"]: drawn[row["origin"]] for row in short.to_dicts()}
    assert sorted(closed.values())[0] == 4
    assert sum(n == 8 for n in closed.values()) == 1
    manifest = orjson.loads((flows.find_version(tmp_path) / "manifest.json").read_bytes())
    (entry,) = [s for s in manifest["stages"] if s["stage"] == "top-up"]
    assert (entry["rows_in"], entry["rows_out"]) == (PROMPTS + 2, PROMPTS - 1)
    assert entry["dropped"] == dict.fromkeys(reasons, 1)
    assert main(["status", "--json", *given]) == 0
    figures = orjson.loads(capsys.readouterr().out)
    assert figures["wanted"] == {
        "pairs": PROMPTS + 2,
        "got": PROMPTS - 1,
        "prompts_short": dict.fromkeys(sorted(reasons), 1),
    }


WANTED = {"n": 4, "accepted_per_prompt": 1, "max_n": 8}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the run that the others are compared with ended."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(Path(), WANTED)
        assert main(["run", "--quiet"]) == 0
    return folder


@pytest.fixture
def another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the same prompts and params.yaml; the working directory."""
    monkeypatch.chdir(tmp_path)
    write(Path(), WANTED)
    return tmp_path


def test_a_second_run_asks_nothing_and_writes_the_same(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Iterator[object]:
        raise AssertionError("asked again")
        yield

    wanted = flows.hash_files(whole)
    monkeypatch.chdir(whole)
    monkeypatch.setattr(ScriptedEngine, "_batches", refuse)
    assert main(["run", "--quiet"]) == 0
    assert flows.hash_files(whole) == wanted


def die_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted engine dies once it has answered so many batches."""
    left = [None] * batches
    plain = ScriptedEngine._batches

    def dying(self: ScriptedEngine, rows: pl.DataFrame) -> Any:
        if not left:
            raise ModelError("the device is gone")
        left.pop()
        return plain(self, rows)

    monkeypatch.setattr(ScriptedEngine, "_batches", dying)


@pytest.mark.parametrize("after", [3, 5])
def test_a_run_that_died_in_any_round_comes_to_the_same(
    whole: Path, another: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as patch:
        die_after(after, patch)
        assert main(["run", "--quiet"]) == ModelError.exit_code
    assert main(["run", "--quiet"]) == 0
    assert flows.hash_files(another) == flows.hash_files(whole)


def test_buckets_do_not_matter(whole: Path, another: Path) -> None:
    assert main(["run", "--quiet", "--set", "buckets=1"]) == 0
    for name in ("filtered", "top_up", "responses", "dropped/top-up"):
        assert flows.read(another, name).equals(flows.read(whole, name))


def test_processes_plan_and_draw_the_same(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole)
    wanted = flows.hash_files(whole)
    processes = ["--direct_running_mode=multi_processing", "--direct_num_workers=1"]
    for stage in ("top-up", "generate"):
        assert main([stage, "--quiet", *processes]) == 0
    assert flows.hash_files(whole) == wanted


def test_stages_one_by_one_with_top_ups_between_come_to_the_same(
    whole: Path, another: Path
) -> None:
    """What a DVC user does."""
    assert main(["ingest", "--quiet"]) == 0
    planned = True
    while planned:
        for stage in ("generate", "judge", "consensus", "pair", "augment", "filter", "top-up"):
            assert main([stage, "--quiet"]) == 0
        plan = flows.read(another, "top_up")
        planned = bool((plan["n"] > plan["drawn"]).any())
    assert main(["export", "--quiet"]) == 0
    assert flows.hash_files(another) == flows.hash_files(whole)


def test_a_plan_of_other_tables_is_refused_and_one_that_nobody_wants_ignored(
    whole: Path, another: Path
) -> None:
    shutil.copytree(whole, another, dirs_exist_ok=True)
    assert flows.read(another, "responses").height > 4 * PROMPTS
    unwanted = ["--set", "generate.accepted_per_prompt=null", "--set", "generate.max_n=null"]
    assert main(["generate", "--quiet", *unwanted]) == 0
    assert flows.read(another, "responses").height == 4 * PROMPTS
    assert main(["ingest", "--quiet", "--set", "buckets=4"]) == 0
    assert main(["generate", "--quiet", "--set", "buckets=4"]) == TableError.exit_code


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        ({"n": 4, "accepted_per_prompt": 2}, "best_worst makes at most 1 per prompt"),
        ({"n": 4, "target_pairs": 9, "max_n": 3}, "max_n: 3 is less than n: 4"),
        ({"n": 4, "max_n": 8}, "set accepted_per_prompt or target_pairs"),
        ({"target_pairs": 0}, "target_pairs"),
        ({"n": 4, "policies": [{"model": "policy"}], "target_pairs": 1, "max_n": 3}, "less than n"),
    ],
)
def test_what_can_not_be_is_refused_before_any_work(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    generate: dict[str, Any],
    message: str,
) -> None:
    assert main(["run", *write(tmp_path, generate)]) == ConfigError.exit_code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_nothing_is_topped_up_where_nothing_is_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write(tmp_path, {"n": 2})
    assert main(["run", *given]) == 0
    assert not (tmp_path / "data/top_up").exists()
    assert main(["top-up", *given]) == ConfigError.exit_code
    assert "neither accepted_per_prompt nor target_pairs" in capsys.readouterr().err


def make_state(*rows: tuple[int, int, bool]) -> pl.DataFrame:
    """(drawn, accepted, open) of prompts in the order of their ids."""
    ids = sorted(prompt_id([("user", str(n))]) for n in range(len(rows)))
    columns = ["drawn", "accepted", "open"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    return frame.with_columns(pl.Series("prompt_id", ids, dtype=pl.String))


def test_as_many_prompts_as_are_likely_to_do() -> None:
    half = make_state(*([(4, 1, False)] * 50 + [(4, 0, True)] * 50))
    config = GenerateParams(n=4, target_pairs=60)
    assert choose_prompts(half, config, 10).height == 20
    assert choose_prompts(half, config, 0).height == 0
    assert choose_prompts(half, config, 40).height == 50
    quota = GenerateParams(n=4, accepted_per_prompt=1)
    assert choose_prompts(half, quota, 10).height == 50


def test_each_round_draws_for_as_many_as_all_before_it() -> None:
    """A few pairs that many prompts can't give take few rounds."""
    tried = make_state(*([(4, 1, False)] * 90 + [(8, 0, True)] * 7 + [(4, 0, True)] * 500))
    chosen = choose_prompts(tried, GenerateParams(n=4, target_pairs=91), 1)
    assert chosen.height == 7
    assert set(chosen["drawn"]) == {4}


def test_who_is_next_does_not_depend_on_the_order() -> None:
    rows = make_state(*[(4 + 4 * (n % 3), n % 2, n % 5 > 0) for n in range(40)])
    config = GenerateParams(n=4, target_pairs=99)
    wanted = choose_prompts(rows, config, 6)
    assert wanted["open"].all()
    assert choose_prompts(rows.reverse(), config, 6).equals(wanted)
