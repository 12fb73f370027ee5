"""Chains: what makes a table stale, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import pytest

from prefdata.config import Params, load_params
from prefdata.pipelines.chain import describe_model
from prefdata.pipelines.stages.registry import STAGES, find_stage
from prefdata.tables.chain import Made, ModelUsed, find_stale, find_unfit, fingerprint_chain

MODEL = ModelUsed(
    fingerprint="f", engine="e", model="m", revision=None, settings={"model": "m"}, reading={"t": 1}
)


def make(settings: dict[str, Any] | None = None, **changes: Any) -> Made:
    return Made(
        **{"version": "1", "settings": settings or {"a": 1}, "models": {"m": MODEL}} | changes
    )


TODAY = make(plugins={"p.k": "package 1"})
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"settings": {"a": 2}}, "made with another a"),
    ({"settings": {"a": 1, "b": {"c": [1]}}}, "made with another b"),
    ({"plugins": {"p.k": "package 2"}}, "another version of the plugin p.k"),
    ({"models": {"m": MODEL.model_copy(update={"fingerprint": "g"})}}, "another model m"),
    ({"models": {"m": MODEL.model_copy(update={"reading": {"t": 2}})}}, "another model m"),
    ({"inputs": {"prompts": "old"}}, "prompts has been made anew since"),
]


@pytest.mark.parametrize(("changes", "why"), CHANGES)
def test_what_makes_a_table_stale(changes: dict[str, Any], why: str) -> None:
    contents = {"prompts": "new"}
    assert find_stale({"s": TODAY}, {"s": TODAY}, contents) == {}
    made = TODAY.model_copy(update=changes)
    assert why in find_stale({"s": made}, {"s": TODAY}, contents)["s"]


@pytest.mark.parametrize(
    "changes",
    [
        # Unknown is not another: no hub, no such table here, a table of before.
        {"models": {"m": MODEL.model_copy(update={"fingerprint": None})}},
        {"inputs": {"responses": "gone"}},
        {"inputs": {"prompts": ""}},
        # A later version of prefdata has a setting more.
        {"settings": {}, "version": "0"},
    ],
)
def test_what_does_not(changes: dict[str, Any]) -> None:
    made = TODAY.model_copy(update=changes)
    assert find_stale({"s": made}, {"s": TODAY}, {"prompts": "new"}) == {}


def test_a_file_counts_by_its_content_and_one_that_has_gone_is_unknown() -> None:
    def described(digest: str | None) -> Made:
        return make({"path": {"name": "p.jsonl", "sha256": digest}})

    stale = [
        find_stale({"s": described("a")}, {"s": described(now)}, {}) for now in ("a", "b", None)
    ]
    assert stale == [{}, {"s": "made with another path"}, {}]


class Info:
    def __init__(self, content: str, **chain: Made) -> None:
        self.content, self.chain = content, chain


def test_the_first_stage_to_run_again_is_the_first_whose_table_is_unfit() -> None:
    old, new = make({"a": 0}), make({"a": 1})
    infos = {"one": Info("1", one=new), "two": Info("2", one=old, two=new)}
    found = find_unfit(infos, {"one": "t1", "two": "t2"}, {"one": new, "two": new})
    # The first was made anew, and the second still is of the one before.
    assert found == {"two": {"one": "made with another a"}}


def test_the_fingerprint_of_a_chain_ignores_how_tables_are_bucketed() -> None:
    one, other = make(inputs={"prompts": "x"}), make(inputs={"prompts": "y"})
    assert fingerprint_chain({"s": one}) == fingerprint_chain({"s": other})
    assert fingerprint_chain({"s": one}) != fingerprint_chain({"s": make({"a": 2})})


UNCHANGED = [
    "memo=null",
    "buckets=4",
    "generate.max_faulty_fraction=0.5",
    "consensus.max_faulty_fraction=0.5",
    "generate.unload=true",
    "models.policy.max_batch_tokens=5",
    "models.policy.device=cpu",
    "models.policy.prices={input_per_million: 3}",
]


def describe(params: Params) -> dict[str, Made]:
    return {stage.name: stage.describe(params, {}) for stage in STAGES if stage.table}


def test_settings_that_change_no_content_do_not_count(tmp_path: Path) -> None:
    flows.params(tmp_path)
    path = tmp_path / "params.yaml"
    before = describe(load_params(path))
    assert describe(load_params(path, UNCHANGED)) == before
    for override, stage in {
        "generate.temperature=0.1": "generate",
        "generate.accepted_per_prompt=1": "filter",
        "filter.filters.2.max_quantile=0.5": "filter",
        "judge.judges.1.beta=0.2": "judge",
        "models.reference.model=another": "judge",
        "ingest.test_fraction=0.2": "ingest",
    }.items():
        after = describe(load_params(path, [override]))
        assert [name for name in before if after[name] != before[name]] == [stage], override


def test_no_folder_of_this_machine_is_in_a_chain(tmp_path: Path) -> None:
    first, second = (flows.params(tmp_path / name) for name in ("a", "b"))
    assert describe(first) == describe(second)
    assert str(tmp_path) not in str(describe(first))
    (tmp_path / "b" / "prompts.jsonl").write_text('{"prompt": "Another?"}\n')
    stale = find_stale(describe(first), describe(second), {})
    assert stale == {"ingest": "made with another sources.0.path"}


def test_a_model_in_a_folder_is_known_by_its_last_name(tmp_path: Path) -> None:
    params = flows.params(tmp_path)
    config = params.models["policy"].model_copy(update={"model": str(tmp_path / "policy")})
    assert describe_model(config, None).model == "policy"
    assert find_stage("top-up").list_fitting(params)[0] is params
