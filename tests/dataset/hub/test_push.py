"""Pushing: what stands in the way, kills, and what was changed on the hub meanwhile."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
from dataset.hub.server import READER, Hub

from prefdata.dataset.hub import push as pushing
from prefdata.dataset.hub.client import open_hub
from prefdata.dataset.hub.plan import Plan
from prefdata.dataset.hub.push import check_repo, push
from prefdata.errors import ConfigError, HubError, PrefdataError

NAME = "org/name"


@pytest.mark.parametrize(
    ("case", "kind", "said"),
    [
        ("no token", ConfigError, "no token"),
        ("unknown token", ConfigError, "does not know this token"),
        ("reader", ConfigError, "may not write there"),
        ("a model", ConfigError, "it is a model on the hub"),
        ("public", ConfigError, "it is public"),
        ("own card", ConfigError, "its card was edited"),
        ("no network", HubError, "can't be reached"),
        ("offline", HubError, "HF_HUB_OFFLINE"),
        ("always busy", HubError, "rate limit"),
        ("other tag", ConfigError, "is of another content"),
        ("moved", HubError, "somebody else changed it"),
        ("fails", HubError, "HTTP 400"),
    ],
)
def test_what_stands_in_the_way_is_said(
    case: str,
    kind: type[PrefdataError],
    said: str,
    plan: Plan,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    constants = huggingface_hub.constants
    if case == "no token":
        monkeypatch.delenv("HF_TOKEN")
    elif case in ("unknown token", "reader"):
        monkeypatch.setenv("HF_TOKEN", READER if case == "reader" else "hf_strange")
    elif case == "a model":
        hub.make(NAME, "model")
    elif case == "public":
        hub.make(NAME)
    elif case == "own card":
        hub.make(NAME, **{"README.md": b"# Mine"})
    elif case == "no network":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    elif case == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif case == "always busy":
        hub.refusals += [("create", 429, {"Retry-After": "0"})] * 9
    elif case == "other tag":
        repo = hub.make(NAME)
        repo.tags[plan.tag] = repo.commits[0][0]
    elif case in ("moved", "fails"):
        hub.refusals += [("commit", 412 if case == "moved" else 400, {})]
    with pytest.raises(kind, match=said) as found:
        push(plan, open_hub(), private=case == "public")
    assert found.value.remedy
    assert "hf_" not in str(found.value)
    made = hub.repos.get(f"dataset {NAME}")
    assert made is None or len(made.commits) == 1


def test_a_name_and_a_token_file_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no name of a repository"):
        check_repo("name")
    with pytest.raises(ConfigError, match="can't be read"):
        open_hub(str(tmp_path / "none"))
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ConfigError, match="it is empty"):
        open_hub(str(tmp_path / "token"))


def test_a_token_file_is_taken(
    plan: Plan, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given").write_text("hf_writer\n")
    monkeypatch.delenv("HF_TOKEN")
    assert push(plan, open_hub(str(tmp_path / "given"))).commit


def test_a_busy_hub_is_waited_for(plan: Plan, hub: Hub) -> None:
    wait = {"Retry-After": "0"}
    hub.refusals += [("create", 429, wait), ("commit", 429, wait)]
    notes: list[str] = []
    assert push(plan, open_hub(), note=notes.append).commit
    assert (hub.counts["create"], hub.counts["commit"]) == (2, 2)
    assert hub.counts["upload"] == len(hub.objects)
    assert notes.count("the hub's rate limit is reached: going on in 0 s") == 1


def test_a_killed_push_goes_on_where_it_was(
    plan: Plan, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "_AT_ONCE", 8)

    def kill(note: str) -> None:
        if "uploaded" in note and hub.objects:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(plan, open_hub(), note=kill)
    before = len(hub.objects)
    assert hub.counts["upload"] == before > 0
    assert not hub.counts["commit"]
    push(plan, open_hub())
    assert hub.counts["upload"] == len(hub.objects) > before
    assert hub.counts["commit"] == 1


def test_an_edited_card_stays_unless_told_otherwise(plan: Plan, hub: Hub) -> None:
    push(plan, open_hub())
    repo = hub.repos[f"dataset {NAME}"]
    repo.commit({**hub.read(NAME), "README.md": b"# Better"})
    assert push(plan, open_hub()).commit is None
    other = replace(
        plan, publication=plan.publication.model_copy(update={"prefdata_version": "another"})
    )
    with pytest.raises(ConfigError, match="its card was edited"):
        push(other, open_hub())
    assert push(plan, open_hub(), overwrite_card=True).files == 1
    digest = hashlib.sha256(hub.read(NAME)["README.md"]).hexdigest()
    assert digest == plan.publication.find_digest("README.md")


def test_what_others_put_there_stays(plan: Plan, hub: Hub) -> None:
    push(plan, open_hub(), names=["readable"])
    repo = hub.repos[f"dataset {NAME}"]
    mine = {**hub.read(NAME), "notes.txt": b"mine"}
    del mine["trl/train-00000-of-00002.parquet"]
    repo.commit(mine)
    # What was lost comes back.
    assert push(plan, open_hub(), names=["readable"]).files == 1
    assert hub.read(NAME)["notes.txt"] == b"mine"
    assert repo.tags == dict.fromkeys([plan.tag, "readable"], repo.commits[-1][0])
