"""The published dataset: whole, versioned, and read by the consumers it is for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import datasets
import flows
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefdata.config import Params
from prefdata.dataset.manifest import content_digest, content_version, read_manifest
from prefdata.errors import TableError
from prefdata.pipelines import layout
from prefdata.pipelines.stages.registry import STAGES
from prefdata.tables import read_table


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Params:
    params = flows.params(tmp_path_factory.mktemp("dataset"), count=40)
    for name, run in STAGES.items():
        if name != "reward-head":
            run(params, [], True)
    return params


def folder(params: Params) -> Path:
    return Path(layout.dataset_folder(params))


def test_load_dataset_finds_the_splits(made: Params, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(folder(made)), cache_dir=str(tmp_path))
    splits = {name: part.num_rows for name, part in loaded.items()}
    assert splits == read_manifest(str(folder(made))).splits
    assert min(splits.values()) > 0
    row = loaded["train"][0]
    assert [set(m) for m in row["prompt"]] == [{"role", "content"}]
    assert [m["role"] for m in (*row["prompt"], *row["chosen"], *row["rejected"])] == [
        "user",
        "assistant",
        "assistant",
    ]
    assert row["chosen"] != row["rejected"]


def test_texts_are_those_of_the_tables(made: Params) -> None:
    """Every published pair joins back to the responses and prompts it was made of."""
    rows = pl.concat([pl.read_parquet(f) for f in sorted((folder(made) / "data").iterdir())])
    texts = dict(
        read_table(layout.table(made, "responses")).select("response_id", "text").iter_rows()
    )
    prompts = {p["prompt_id"]: p for p in read_table(layout.table(made, "prompts")).to_dicts()}
    pairs = {p["pair_id"]: p for p in read_table(layout.table(made, "filtered")).to_dicts()}
    assert rows.height == len(pairs) > 0
    for row in rows.to_dicts():
        pair = pairs[row["pair_id"]]
        assert row["chosen"][0]["content"] == texts[pair["chosen_id"]]
        assert row["rejected"][0]["content"] == texts[pair["rejected_id"]]
        assert row["prompt"] == prompts[pair["prompt_id"]]["messages"]


def test_no_prompt_is_in_two_splits(made: Params) -> None:
    sides = [
        set(pl.concat([pl.read_parquet(f) for f in found])["prompt_id"])
        for split in ("train", "test")
        if (found := sorted((folder(made) / "data").glob(f"{split}-*.parquet")))
    ]
    assert len(sides) == 2
    assert not sides[0] & sides[1]


def test_the_manifest_hashes_every_file(made: Params) -> None:
    manifest = read_manifest(str(folder(made)))
    on_disk = {f"data/{path.name}" for path in (folder(made) / "data").iterdir()}
    assert {entry.path for entry in manifest.files} == on_disk
    for entry in manifest.files:
        content = (folder(made) / entry.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry.sha256
        assert pl.read_parquet(folder(made) / entry.path).height == entry.rows
    for stage in manifest.stages:
        assert stage.rows_in == stage.rows_out + sum(stage.rejected.values())


def test_a_dataset_without_its_mark_is_refused(made: Params, tmp_path: Path) -> None:
    for name in ("manifest.json", "README.md"):
        (tmp_path / name).write_bytes((folder(made) / name).read_bytes())
    with pytest.raises(TableError, match="no completed dataset"):
        read_manifest(str(tmp_path))
    (tmp_path / "COMPLETED").write_text("0" * 64 + "\n")
    with pytest.raises(TableError, match="not the one that was completed"):
        read_manifest(str(tmp_path))


ROWS = st.lists(st.tuples(st.text(max_size=50), st.integers(-(2**60), 2**60)), max_size=12)


@given(ROWS, st.randoms(), st.integers(0, 12))
def test_the_content_version_is_that_of_the_set(rows: list, draw: object, cut: int) -> None:
    schema = {"text": pl.String, "number": pl.Int64}
    whole = pl.DataFrame(rows, schema=schema, orient="row")
    mixed = list(rows)
    draw.shuffle(mixed)  # type: ignore[attr-defined]
    parts = [pl.DataFrame(p, schema=schema, orient="row") for p in (mixed[:cut], mixed[cut:])]
    version = content_version([content_digest(whole)])
    assert version == content_version([content_digest(part) for part in parts])
    more = pl.concat([whole, pl.DataFrame([("", 0)], schema=schema, orient="row")])
    assert version != content_version([content_digest(more)])
