"""Tables that do not fit params.yaml, and files that are not as they were written."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import flows
import orjson
import pytest

from prefdata.cli.app import main
from prefdata.dataset.manifest import read_manifest
from prefdata.dataset.pointer import find_newest
from prefdata.dataset.verification.files import list_damage
from prefdata.errors import TableError
from prefdata.tables import Table, read_table, write_bucket
from prefdata.tables.catalog import TABLES
from prefdata.tables.read import read_unfinished

FLIPS = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a flow has run."""
    folder = tmp_path_factory.mktemp("whole")
    flows.params(folder, 12, ches=None)
    assert main(["run", "--quiet", "--params", str(folder / "params.yaml")]) == 0
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy, whose params.yaml names its own prompts."""
    shutil.copytree(whole / "data", tmp_path / "data")
    flows.params(tmp_path, 12, ches=None)
    return tmp_path


def test_what_does_not_fit_is_refused_and_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: str, *overrides: str, more: tuple[str, ...] = ()) -> str:
        settings = [part for override in overrides for part in ("--set", override)]
        code = main([command, "--quiet", "--params", str(folder / "params.yaml"), *settings, *more])
        said = capsys.readouterr()
        assert (code == TableError.exit_code) == bool(said.err), said.err
        return said.err or said.out

    def status(*overrides: str) -> dict[str, object]:
        found: dict[str, object] = orjson.loads(run("status", *overrides, more=("--json",)))
        return dict(found["freshness"])  # type: ignore[call-overload]

    fresh = {"stale": {}, "dataset": None, "unknown": [], "damaged": []}
    assert status() == fresh
    before = flows.hash_files(folder)
    colder, strict = "generate.temperature=0.1", "filter.filters.2.max_quantile=0.5"

    # Made otherwise: no dataset says that it was made so.
    refused = run("export", colder)
    assert "made with another policies.0.sampling.temperature" in refused
    assert "Run `prefdata generate` and the stages after it again" in refused
    assert flows.hash_files(folder) == before
    assert next(iter(status(colder)["stale"])) == "generate"  # type: ignore[call-overload]
    # Not even by force: what is published says how it was made.
    assert "Run `prefdata generate`" in run("export", colder, more=("--force",))
    assert run("pair", colder, more=("--force",))
    policy = read_manifest(str(folder / "data/dataset")).policies["policy"]
    assert policy.sampling["temperature"] == 1.0
    assert flows.hash_files(folder) == before

    # What changes no content is no reason, nor are wanted pairs one to plan samples.
    assert run("pair", "generate.max_faulty_fraction=0.5", "models.policy.max_batch_tokens=99")
    assert run("top-up", "generate.accepted_per_prompt=1")
    assert flows.hash_files(folder, "pairs", "filtered", "dataset") == {
        name: digest
        for name, digest in before.items()
        if name.split("/")[0] in ("pairs", "filtered", "dataset")
    }

    # Another filter leaves a dataset of the one before.
    said = run("filter", strict)
    assert "stale, not what params.yaml makes today (filter: made with another filters.2" in said
    assert status(strict)["stale"] == {}
    assert "filters.2.max_quantile" in str(status(strict)["dataset"])
    assert "Run `prefdata filter`" in run("export")
    run("export", strict)
    assert status(strict) == fresh

    # Other prompts, and then other tables under those that were made of them.
    flows.write_prompts(folder, 13)
    assert "ingest: made with another sources.0.path" in run("judge", strict)
    run("ingest", strict)
    assert "prompts has been made anew since" in run("judge", strict)


def flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_no_flipped_bit_is_taken_for_content(folder: Path) -> None:
    draw = random.Random(0)
    tables = {
        name: Table(str(folder / "data" / name), TABLES[name]) for name in ("pairs", "labels")
    }
    accepted = 0
    for number in range(FLIPS):
        table = tables["pairs" if number % 2 else "labels"]
        path = draw.choice(sorted(Path(table.folder).iterdir()))
        kept = path.read_bytes()
        flip(path, draw)
        try:
            read_table(table)
            accepted += 1
        except TableError as error:
            assert path.name in error.problem or "schema version" in error.problem
        path.write_bytes(kept)
    assert accepted == 0
    dataset = Path(find_newest(str(folder / "data" / "dataset")))
    files = read_manifest(str(dataset)).list_files()
    assert list_damage(str(dataset), files) == []
    shard = dataset / files[0].path
    flip(shard, draw)
    assert list_damage(str(dataset), files) == [
        f"{shard}: damaged: its content is not what the manifest says"
    ]


def test_a_bucket_that_lost_rows_is_refused_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    responses = Table(str(folder / "data/responses"), TABLES["responses"])
    write_bucket(responses, 1, 2, read_unfinished(responses, 1, 2).head(3))
    given = ["--quiet", "--params", str(folder / "params.yaml")]
    assert main(["judge", *given]) == TableError.exit_code
    problem = f"{responses.bucket_path(1, 2)}: damaged: its content is not what _table.json says"
    assert problem in capsys.readouterr().err
    assert main(["status", *given]) == 0
    assert f"damaged: {problem}" in capsys.readouterr().out
