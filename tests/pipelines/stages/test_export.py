"""Export: the published rows are those of the tables, and the manifest counts every stage."""

from __future__ import annotations

from pathlib import Path

import flows
import polars as pl
import pytest

from prefdata.dataset.manifest import read_manifest
from prefdata.pipelines.run import run_flow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    run_flow(flows.params(folder, count=40))
    return folder / "data"


def read(data: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(data / table / "*.parquet")


def test_texts_are_those_of_the_tables(data: Path) -> None:
    """Every published pair joins back to the responses and prompts it was made of."""
    rows = read(data, "dataset/data")
    texts = dict(read(data, "responses").select("response_id", "text").iter_rows())
    prompts = {p["prompt_id"]: p for p in read(data, "prompts").to_dicts()}
    pairs = {p["pair_id"]: p for p in read(data, "filtered").to_dicts()}
    assert rows.height == len(pairs) > 0
    for row in rows.to_dicts():
        pair = pairs[row["pair_id"]]
        assert row["chosen"][0]["content"] == texts[pair["chosen_id"]]
        assert row["rejected"][0]["content"] == texts[pair["rejected_id"]]
        messages = prompts[pair["prompt_id"]]["messages"]
        assert row["prompt"] == [{"role": m["role"], "content": m["content"]} for m in messages]


def test_no_prompt_is_in_two_splits(data: Path) -> None:
    sides = [
        set(pl.read_parquet(data / "dataset/data" / f"{split}-*.parquet")["prompt_id"])
        for split in ("train", "test")
    ]
    assert min(map(len, sides)) > 0
    assert not sides[0] & sides[1]


def test_the_manifest_counts_every_stage(data: Path) -> None:
    manifest = read_manifest(str(data / "dataset"))
    assert sum(manifest.splits.values()) == read(data, "filtered").height
    for stage in manifest.stages:
        assert stage.rows_in == stage.rows_out + sum(stage.dropped.values())
    assert manifest.labels.judges == ["pairwise", "implicit_reward"]
    assert sorted(manifest.labels.audit) == ["implicit_reward", "pairwise"]
