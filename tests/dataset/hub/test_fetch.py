"""A published record, brought into an empty folder: other pairs, and no model is asked."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from dataset.hub.server import Hub, read_planned

from prefdata.cli import app
from prefdata.dataset.hub.client import open_hub
from prefdata.dataset.hub.fetch import fetch_record
from prefdata.dataset.hub.plan import Plan
from prefdata.dataset.manifest import read_manifest
from prefdata.engines.scripted import ScriptedEngine
from prefdata.errors import ConfigError, TableError

NAME = "org/name"


def test_another_strategy_consensus_or_filter_asks_no_model(
    published: Plan,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "anew"
    data, params = str(folder / "data"), str(folder / "params.yaml")
    arguments = ["import", f"hub:{NAME}@{published.tag}", "--out", data, "--quiet", "--json"]
    assert app.main([*arguments, "--params", params]) == 0
    brought = orjson.loads(capsys.readouterr().out)
    assert (brought["tables"], brought["asks"]) == (published.publication.tables, {})
    # Whoever pairs anew may have no such model.
    monkeypatch.setattr(ScriptedEngine, "generate", None)
    monkeypatch.setattr(ScriptedEngine, "hidden_sums", None)
    versions = [published.publication.content_version]
    for changed in (
        ["pair.strategy={kind: all_above_margin, min_margin: 0.1}"],
        ["consensus={kind: mean, min_confidence: 0.6}", "filter.filters=[{kind: near_identical}]"],
    ):
        run = ["run", "--params", params, "--from", "consensus", "--quiet", "--json"]
        options = [option for each in changed for option in ("--set", each)]
        found = app.main([*run, *options])
        out, err = capsys.readouterr()
        assert found == 0, err
        stages = orjson.loads(out)["stages"]
        assert not [stage for stage in stages.values() if stage["models"]]
        versions.append(read_manifest(f"{data}/dataset").content_version)
    assert len(set(versions)) == 3
    assert not (folder / "data" / "memo").exists()
    # The chain still says how the tables that were brought were made.
    assert "generate" in read_manifest(f"{data}/dataset").chain
    assert app.main(["run", "--params", params, "--from", "judged"]) == 2
    assert "--from judged: no stage of this flow" in capsys.readouterr().err


def test_tables_that_params_would_not_make_are_not_taken(
    published: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, params = str(tmp_path / "data"), str(tmp_path / "params.yaml")
    assert app.main(["import", f"hub:{NAME}", "--out", data, "--params", params, "--quiet"]) == 0
    run = ["run", "--params", params, "--from", "consensus", "--quiet"]
    assert app.main([*run, "--set", "generate.temperature=0.1"]) == 1
    assert "are not what params.yaml makes today (generate: made with" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["no record", "another table", "damaged", "elsewhere", "gone"])
def test_what_is_no_record_of_this_folder_is_refused(
    case: str, published: Plan, hub: Hub, plan: Plan, tmp_path: Path
) -> None:
    data, repo, name = tmp_path / "data", hub.repos[f"dataset {NAME}"], NAME
    kind, said = ConfigError, "published without its record"
    if case == "no record":
        repo.commit({file.entry.path: read_planned(file) for file in plan.files})
    elif case == "another table":
        (data / "labels").mkdir(parents=True)
        (data / "labels" / "_table.json").write_text("{}")
        said = "another table is there"
    elif case == "damaged":
        path = next(p for p in hub.read(NAME) if p.startswith("record/prompts/bucket"))
        repo.commit({**hub.read(NAME), path: b"PAR1"})
        kind, said = TableError, "is not what publication.json says"
    elif case == "elsewhere":
        content = hub.read(NAME)["publication.json"]
        outside = content.replace(b"record/prompts/bucket-00000", b"record/../../../bucket-00000")
        repo.commit({**hub.read(NAME), "publication.json": outside})
        kind, said = TableError, "belongs to no table"
    else:
        name, said = f"{NAME}@v9", "has no such revision"
    with pytest.raises(kind, match=said):
        fetch_record(name, str(data), open_hub())
    assert not (data / "prompts" / "_table.json").exists()


def test_a_record_needs_a_folder_and_takes_no_settings_of_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for options, said in (
        ([], "Name one: --out"),
        (["--out", "x", "--split", "train"], "takes no --split"),
    ):
        assert app.main(["import", f"hub:{NAME}", *options]) == 2
        assert said in capsys.readouterr().err
