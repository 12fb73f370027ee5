"""What became of the prompts of a small run, which earlier versions of prefdata stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from dataset.published import make_pairs, publish

from prefdata.engines.base import request_key_seed
from prefdata.errors import TableError
from prefdata.lineage.exported import list_nameless, read_exported
from prefdata.lineage.find import find_prompts
from prefdata.lineage.story import Story, tell_story
from prefdata.lineage.tables import read_lineage
from prefdata.pipelines.stages.registry import STAGES, TOP_UP
from prefdata.records import SCHEMA_VERSION, Dropped
from prefdata.records.base import polars_schema
from prefdata.tables import Table, TableInfo, begin, finish, read_info, read_table, write_bucket
from prefdata.tables.catalog import DROPPING, TABLES, Catalog

STORED = Path(__file__).parent.parent / "data"
VERSIONS = ("schema_2", "schema_3")
PROMPT = "c848da6c99632650ad8d05969f89fc15"
"""Its pair was dropped by a filter."""


def data_of(version: str) -> str:
    return str(STORED / version / "data")


def read_rows(data: str, table: str) -> pl.DataFrame:
    return read_table(Catalog(data).table(table, TABLES[table]))


def tell(data: str, prompt_id: str) -> Story:
    return tell_story(read_lineage(data, [prompt_id]), prompt_id)


def write_dropped(data: str, stage: str, rows: list[dict[str, object]], buckets: int = 1) -> None:
    """A table of dropped records with the same rows in each of its buckets."""
    table = Table(str(Path(data) / "dropped" / stage), Dropped)
    begin(table)
    frame = pl.DataFrame(rows, schema=polars_schema(Dropped))
    files = [write_bucket(table, bucket, buckets, frame) for bucket in range(buckets)]
    count = frame.height * buckets
    counts = {"rows": count, "rows_in": count, "rows_out": 0, "buckets": buckets}
    made = {"record": "Dropped", "schema_version": SCHEMA_VERSION, "unit": "rows"}
    finish(table, TableInfo.model_validate({**counts, **made, "files": files}))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_of_every_table_is_told_once(version: str) -> None:
    data = data_of(version)
    prompt_ids = read_rows(data, "prompts")["prompt_id"].to_list()
    lineage = read_lineage(data, prompt_ids)
    stories = [tell_story(lineage, prompt_id) for prompt_id in prompt_ids]
    compared = [each for story in stories for each in story.comparisons]
    pairs = [each.pair for each in compared if each.pair]
    told = {
        "prompts": sum(story.prompt is not None for story in stories),
        "responses": sum(len(story.responses) for story in stories),
        "judgments": sum(len(each.judgments) for each in compared),
        "labels": sum(each.label is not None for each in compared),
        "ches": sum(len(each.ches) for each in compared),
        "pairs": len(pairs),
        "augmented": sum(pair.augmented is not None for pair in pairs),
        "filtered": sum(pair.filtered is not None for pair in pairs),
    }
    assert told == {name: read_rows(data, name).height for name in TABLES}
    assert sum(len(pair.rows) for pair in pairs) == told["filtered"] == 5
    assert not any(story.rows or story.absent for story in stories)
    fallen = [each for one in compared for each in one.dropped]
    assert len(fallen) == sum(
        read_info(Catalog(data).dropped(stage)).rows for stage in DROPPING if stage != TOP_UP.name
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pair_that_a_filter_dropped_is_told_from_its_row_to_the_filter(version: str) -> None:
    story = tell(data_of(version), PROMPT)
    assert story.prompt is not None
    assert story.prompt.origin == "ratings.jsonl:1"
    (comparison,) = [each for each in story.comparisons if each.pair]
    pair = comparison.pair
    assert pair is not None
    assert pair.augmented is not None
    assert (pair.filtered, pair.rows) == (None, [])
    assert [(each.stage, each.reason) for each in comparison.dropped] == [
        ("filter", "high_ches_normalized")
    ]
    assert story.find_pair(pair.pair.pair_id) is comparison
    assert story.find_pair("f" * 32) is None
    assert {each.judge for each in comparison.judgments} >= {"pairwise"}
    others = [each for each in story.comparisons if each is not comparison]
    assert {each.reason for one in others for each in one.dropped} == {"not_best_worst"}
    for each in story.responses:
        sampled = each.response.sample_index is not None
        key = bytes.fromhex(each.response.response_id)
        assert each.seed == (request_key_seed(key) if sampled else None)


def test_a_prompt_that_nobody_knows_has_an_empty_story() -> None:
    story = tell(data_of("schema_3"), "0" * 32)
    assert story.prompt is None
    told = (story.responses, story.comparisons, story.dropped, story.rows)
    assert not any(told)


def test_what_is_of_no_comparison_is_told_beside_them(tmp_path: Path) -> None:
    shutil.copytree(data_of("schema_3"), tmp_path / "data")
    data = str(tmp_path / "data")
    shutil.rmtree(tmp_path / "data/ches")
    row = {"stage": "generate", "reason": "timeout", "detail": "60 s", "fault": True}
    records = ('{"policy":"policy"}', "[1]", "no JSON")
    write_dropped(data, "generate", [{**row, "origin": PROMPT, "record": r} for r in records], 2)
    story = tell(data, PROMPT)
    assert story.absent == ["ches"]
    # Only the bucket of the prompt was read.
    assert [each.record for each in story.dropped] == sorted(records)
    assert {each.stage for each in story.dropped} == {"generate"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (PROMPT, "prompt"),
        (PROMPT[:6], "prompt"),
        ("ratings.jsonl:1", "text"),
    ],
)
def test_a_prompt_is_found(wanted: str, found: str) -> None:
    (match,) = find_prompts(data_of("schema_3"), wanted, 5)
    assert (match.prompt_id, match.origin, match.found) == (PROMPT, "ratings.jsonl:1", found)
    assert match.excerpt


@pytest.mark.parametrize("kind", ["pair", "response"])
def test_a_prompt_is_found_by_what_was_made_of_it(kind: str) -> None:
    data = data_of("schema_3")
    for row in read_rows(data, f"{kind}s").iter_rows(named=True):
        for wanted in (row[f"{kind}_id"], row[f"{kind}_id"][:12]):
            (match,) = find_prompts(data, wanted, 5)
            assert (match.found, match.id) == (kind, row[f"{kind}_id"])
            assert match.prompt_id == row["prompt_id"]


def test_prompts_are_found_by_their_text_in_any_case() -> None:
    data = data_of("schema_3")
    texts = read_rows(data, "prompts").select(
        "prompt_id", text=pl.col("messages").list.first().struct.field("content")
    )
    for prompt_id, text in texts.iter_rows():
        found = find_prompts(data, text.upper(), 9)
        assert [match.prompt_id for match in found] == [prompt_id]
    assert len(find_prompts(data, " ", 2)) == 2
    assert find_prompts(data, "not one of them", 9) == []


def test_rows_that_never_became_prompts_are_found(tmp_path: Path) -> None:
    shutil.copytree(data_of("schema_3"), tmp_path / "data")
    data = str(tmp_path / "data")
    row = {"stage": "ingest", "reason": "no_prompt", "detail": "no field", "fault": True}
    rows = [
        {**row, "origin": "bad.jsonl:7", "record": '{"promt": "Why is the sky green?"}'},
        {**row, "origin": PROMPT, "record": '{"messages": "the same, green"}'},
    ]
    write_dropped(data, "ingest", rows)
    first, other = find_prompts(data, "GREEN", 2)
    assert {(m.prompt_id, m.origin, m.found) for m in (first, other)} == {
        ("", "bad.jsonl:7", "dropped row"),
        (PROMPT, PROMPT, "dropped row"),
    }
    assert find_prompts(data, "bad.jsonl:7", 1)[0].origin == "bad.jsonl:7"


def test_only_files_that_may_hold_the_prompt_are_read(tmp_path: Path) -> None:
    data, dataset = str(tmp_path / "data"), tmp_path / "data/dataset"
    shutil.copytree(data_of("schema_2"), tmp_path / "data")
    for shard in (dataset / "data").glob("*-00000-of-*"):
        shard.write_bytes(b"damaged")
    (row,) = read_lineage(data, ["c52efbca84113c56eaf1c15b2b0538f4"]).exported
    assert (row.export, row.split) == ("data", "train")
    with pytest.raises(TableError, match=r"data/test-00000.*damaged"):
        read_lineage(data, ["4c12f4e8223b3bf9ea6eefcd84f21d73"])
    assert list_nameless(str(dataset)) == []
    assert read_exported(str(tmp_path), pl.Series(["0" * 32])) == []


@pytest.mark.parametrize("kind", ["ms_swift", "trl", "openai"])
def test_rows_are_read_in_every_form_that_names_their_prompt(kind: str, tmp_path: Path) -> None:
    pairs = make_pairs(20)
    version = str(publish(tmp_path, pairs, kind=kind))
    rows = read_exported(version, pairs["prompt_id"][2:3])
    if kind == "openai":
        assert (rows, list_nameless(version)) == ([], ["openai"])
    else:
        assert [row.row["pair_id"] for row in rows] == [pairs["pair_id"][2]]


def test_stages_that_drop_are_those_with_a_table_of_what_they_dropped() -> None:
    names = [stage.name for stage in STAGES if stage.table or stage.name == "export"]
    assert [*names[:-1], TOP_UP.name, names[-1]] == list(DROPPING)


def test_a_story_is_json() -> None:
    story = tell(data_of("schema_3"), PROMPT)
    told = json.loads(story.model_dump_json())
    assert told["prompt"]["origin"] == "ratings.jsonl:1"
    assert Story.model_validate(told) == story
