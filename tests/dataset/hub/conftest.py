"""A finished run with several exports, and a hub to publish it on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flows
import huggingface_hub.constants
import pytest
from dataset.hub.server import WRITER, Hub, read_planned, serve

from prefdata.dataset.hub.plan import Plan, plan_publication

EXPORTS = [
    {"kind": "trl"},
    {"kind": "llama_factory"},
    {"kind": "openai"},
    {"kind": "trl_sft"},
]
"""Parquet and JSONL, with and without JSON in a row; the last holds more than pairs."""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a flow that has run: FOLDER/data and FOLDER/params.yaml. Not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    settings = {"formats": EXPORTS, "name": "flowers", "license": "cc-by-4.0"}
    flows.run(flows.params(folder, 24, export=settings))
    return folder


@pytest.fixture(scope="session")
def plan(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """What would be published of the run, without record and figures."""
    scratch = tmp_path_factory.mktemp("plan")
    version = str(flows.find_version(run_folder))
    return plan_publication(version, "org/name", scratch, url="a/place")


@pytest.fixture(scope="session")
def whole_plan(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The same with the record."""
    scratch, data = tmp_path_factory.mktemp("whole"), str(run_folder / "data")
    version = str(flows.find_version(run_folder))
    return plan_publication(version, "org/name", scratch, url="a/place", data=data)


@pytest.fixture
def published(hub: Hub, whole_plan: Plan) -> Plan:
    """The run on the hub, with its record."""
    contents = {file.entry.path: read_planned(file) for file in whole_plan.files}
    repo = hub.make(whole_plan.repo, **contents)
    repo.tags[whole_plan.tag] = repo.commits[-1][0]
    return whole_plan


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that huggingface_hub takes for the real one, with a token that may write."""
    with serve() as hub:
        changes = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_CACHE": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_STORED_TOKENS_PATH": str(tmp_path / "tokens"),
        }
        for name, value in changes.items():
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
        yield hub
