"""Export: the published rows are those of the tables, and the manifest counts every stage."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import flows
import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from prefdata.dataset.manifest import read_manifest
from prefdata.errors import NoPairs
from prefdata.pipelines.run import run_flow
from prefdata.records import Response, StructuredPreference
from prefdata.records.base import parquet_schema
from prefdata.reports.parts import format_exports, report_exports, warn_of_exports
from prefdata.tables import Table, finish, read_bucket, read_info, write_bucket

SIDES_AND_PROMPT = ("prompt", "chosen", "rejected")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    run_flow(flows.params(folder, count=40))
    return folder / "data"


def read(data: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(data / table / "*.parquet")


def test_texts_are_those_of_the_tables(data: Path) -> None:
    """Every published pair joins back to the responses and prompts it was made of."""
    rows = flows.read(data.parent, "dataset")
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
    version = flows.find_version(data.parent) / "trl"
    sides = [
        set(pl.read_parquet(version / f"{split}-*.parquet")["prompt_id"])
        for split in ("train", "test")
    ]
    assert min(map(len, sides)) > 0
    assert not sides[0] & sides[1]


def test_the_manifest_counts_every_stage(data: Path) -> None:
    manifest = read_manifest(str(data / "dataset"))
    assert sum(manifest.main.splits.values()) == read(data, "filtered").height
    for stage in manifest.stages:
        assert stage.rows_in == stage.rows_out + sum(stage.dropped.values())
    for stage in manifest.stages:
        for drops in (stage.dropped_by_source, stage.dropped_by_split):
            total = sum((Counter(each) for each in drops.values()), Counter[str]())
            assert total == Counter(stage.dropped), stage.stage
    assert manifest.labels.judges == ["pairwise", "implicit_reward"]
    assert sorted(manifest.labels.audit) == ["implicit_reward", "pairwise"]


@pytest.fixture(scope="module")
def thoughtful(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, but one chosen response, of one bucket, has thoughts."""
    folder = tmp_path_factory.mktemp("thoughtful")
    shutil.copytree(data, folder / "data")
    responses = Table(str(folder / "data" / "responses"), Response)
    info = read_info(responses)
    files = list(info.files or ())
    chosen = pl.read_parquet(data / "filtered/*.parquet").sort("pair_id")["chosen_id"][0]
    for bucket in range(info.buckets):
        rows = read_bucket(responses, bucket, info)
        if chosen in rows["response_id"]:
            of_it = pl.col("response_id") == chosen
            thoughts = pl.when(of_it).then(pl.lit("It depends.")).otherwise("thoughts")
            changed = rows.with_columns(thoughts=thoughts)
            files[bucket] = write_bucket(responses, bucket, info.buckets, changed)
    finish(responses, info.model_copy(update={"files": files}))
    return folder


def export(folder: Path, **settings: Any) -> dict[str, str]:
    """Export FOLDER/data once more; the hashes of the shards."""
    format_ = {"kind": "trl", **settings}
    flows.run(flows.params(folder, count=40, export={"formats": [format_]}), "export")
    return hash_shards(folder)


def hash_shards(folder: Path) -> dict[str, str]:
    shards = (flows.find_version(folder) / "trl").iterdir()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards}


def test_the_manifest_has_the_policies_of_its_pairs(data: Path) -> None:
    manifest = read_manifest(str(data / "dataset"))
    rows = flows.read(data.parent, "dataset")
    assert set(manifest.policies) == {*rows["chosen_policy"], *rows["rejected_policy"]}
    policy = manifest.policies["policy"]
    assert (policy.model, policy.n, policy.sampling["temperature"]) == ("policy", 4, 1.0)
    assert {policy.fingerprint} == set(read(data, "responses")["model"])
    card = (data / "dataset/README.md").read_text()
    assert '- policy `policy`: `policy`, `{"temperature": 1.0' in card
    assert "- model `policy`: `policy`, engine `scripted`, fingerprint `" in card
    assert '- judge `implicit_reward`: `{"kind": "implicit_reward"' in card
    assert '"beta": 0.1' in card
    for name in ("chosen_policy", "rejected_policy"):
        assert f"| `{name}` | The policy that the " in card


def test_where_one_response_has_thoughts_all_shards_can_hold_them(
    data: Path, thoughtful: Path
) -> None:
    export(thoughtful)
    paths = sorted((flows.find_version(thoughtful) / "trl").iterdir())
    assert len(paths) > 2
    schemas = {pq.read_schema(path).remove_metadata() for path in paths}
    assert schemas == {parquet_schema(StructuredPreference)}
    plain = {row["pair_id"]: row for row in flows.read(data.parent, "dataset").to_dicts()}
    with_thoughts = 0
    for row in flows.read(thoughtful, "dataset").to_dicts():
        turns = {name: list(map(orjson.loads, row[name])) for name in SIDES_AND_PROMPT}
        thoughts = turns["chosen"][0].pop("reasoning_content", None)
        with_thoughts += thoughts == "It depends."
        assert {**row, **turns, "tools": None} == {**plain[row["pair_id"]], "tools": None}
    assert with_thoughts == 1


def test_the_manifest_and_the_card_name_the_structure(data: Path, thoughtful: Path) -> None:
    export(thoughtful)
    assert read_manifest(str(data / "dataset")).main.structure == []
    assert read_manifest(str(thoughtful / "data/dataset")).main.structure == ["reasoning_content"]
    cards = [(path / "dataset/README.md").read_text() for path in (data, thoughtful / "data")]
    assert ["`reasoning_content`" in card for card in cards] == [False, True]


def test_without_the_thoughts_the_bytes_are_those_of_role_and_content(
    data: Path, thoughtful: Path
) -> None:
    plain = hash_shards(data.parent)
    assert export(thoughtful, thoughts="drop") == plain
    versions = [read_manifest(str(path / "data/dataset")) for path in (data.parent, thoughtful)]
    assert len({manifest.content_version for manifest in versions}) == 1
    assert export(thoughtful, thoughts="inline") != plain


@pytest.fixture(scope="module")
def several(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, exported in four forms, of which the last can hold no pair."""
    folder = tmp_path_factory.mktemp("several")
    shutil.copytree(data, folder / "data")
    kinds = [{"kind": kind} for kind in ("trl", "trl_kto", "openai")]
    formats = [*kinds, {"kind": "trl_tpo", "name": "human", "reference": "existing"}]
    flows.run(flows.params(folder, count=40, export={"formats": formats}), "export")
    return folder


def test_each_export_is_counted_by_itself(several: Path) -> None:
    version, pairs = flows.find_version(several), read(several / "data", "filtered")
    manifest = read_manifest(str(version))
    assert list(manifest.exports) == ["trl", "trl_kto", "openai", "human"]
    for name, entry in manifest.exports.items():
        assert entry.rows_in == entry.rows_out + sum(entry.dropped.values())
        files = {f"{name}/{path.name}" for path in (version / name).glob("*")}
        assert {file.path for file in entry.files} == files
        assert sum(entry.splits.values()) == sum(file.rows for file in entry.files)
    human, kto = manifest.exports["human"], manifest.exports["trl_kto"]
    assert (human.rows_out, human.dropped) == (0, {"no_existing_response": pairs.height})
    assert kto.rows_out == sum(kto.splits.values()) == 2 * pairs.height
    assert list(human.dropped_by_split) == ["test", "train"]
    (by_source,) = human.dropped_by_source.values()
    assert by_source == human.dropped
    assert kto.dropped_by_source == {}
    dropped = flows.read(several, "dropped/export")
    assert dropped["record"].str.contains('"export":"human"').all()
    assert {orjson.loads(record)["pair_id"] for record in dropped["record"]} == {*pairs["pair_id"]}
    # A pair is out if any export has it.
    stage = next(stage for stage in manifest.stages if stage.stage == "export")
    assert (stage.rows_in, stage.rows_out, stage.dropped) == (pairs.height, pairs.height, {})
    assert list(warn_of_exports(manifest)) == [
        f"warning: the export human has no rows (no_existing_response {pairs.height})"
    ]
    lines = list(format_exports(report_exports(manifest)))
    assert lines[1] == f"export trl_kto: {kto.rows_out} of {kto.rows_in} responses"


def test_load_dataset_reads_each_form_by_its_name(
    several: Path, data: Path, tmp_path: Path
) -> None:
    dataset = str(several / "data" / "dataset")
    found = {
        name: datasets.load_dataset(dataset, name, cache_dir=str(tmp_path))
        for name in (None, "trl", "trl_kto")
    }
    plain = flows.read(data.parent, "dataset")
    for name in (None, "trl"):
        ids = [pair for part in found[name].values() for pair in part["pair_id"]]
        assert sorted(ids) == sorted(plain["pair_id"])
    for part in found["trl_kto"].values():
        assert {"prompt", "completion", "label"} < set(part.column_names)
        # Shards are of prompts; in each the order is that of a digest.
        assert sorted(part["response_id"][:3]) == part["response_id"][:3]
    front = yaml.safe_load((several / "data/dataset/README.md").read_text().split("---\n")[1])
    named = {each["config_name"]: each.get("default", False) for each in front["configs"]}
    assert named == {"trl": True, "trl_kto": False}
    assert [file["split"] for file in front["configs"][0]["data_files"]] == ["train", "test"]
    versions = [read_manifest(str(path / "data/dataset")) for path in (data.parent, several)]
    assert versions[0].content_version != versions[1].content_version


def test_jsonl_is_one_file_for_each_split(several: Path, data: Path) -> None:
    folder = flows.find_version(several) / "openai"
    assert {path.name for path in folder.iterdir()} == {"train.jsonl", "test.jsonl"}
    lines = [line for path in folder.iterdir() for line in path.read_bytes().splitlines()]
    assert len(lines) == read(data, "filtered").height
    for row in map(orjson.loads, lines):
        assert set(row) == {"input", "preferred_output", "non_preferred_output"}
        assert [set(message) for message in row["preferred_output"]] == [{"role", "content"}]


def test_where_no_form_holds_a_pair_the_earlier_version_stays(several: Path) -> None:
    before = flows.find_version(several)
    formats = [{"kind": "trl_tpo", "reference": "existing"}]
    with pytest.raises(NoPairs, match="no export could hold any"):
        flows.run(flows.params(several, count=40, export={"formats": formats}), "export")
    assert flows.find_version(several) == before
    assert flows.read(several, "dropped/export").height == read(several / "data", "filtered").height


def test_thumbs_become_a_dataset_without_a_comparison(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"What is {n}?", "response": f"It is {n}.", "thumb": n % 3 > 0, "user": f"u{n}"}
        for n in range(6)
    ]
    log = tmp_path / "thumbs.jsonl"
    log.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    params = flows.params(
        tmp_path,
        ingest={"sources": [{"kind": "thumbs", "path": str(log)}]},
        generate={"n": 0},
        judge={"judges": [{"kind": "human", "annotations": "thumb"}]},
        ches=None,
        filter={},
        export={"formats": [{"kind": "trl_kto", "made_of": "thumbs"}]},
    )
    run_flow(params)
    found = flows.read(tmp_path, "dataset")
    texts = {row["completion"][0]["content"]: row["label"] for row in found.to_dicts()}
    assert texts == {row["response"]: row["thumb"] for row in rows}
