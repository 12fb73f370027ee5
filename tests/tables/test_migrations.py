"""Tables and datasets of earlier schema versions, stored as the code of then wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import flows
import polars as pl
import pytest

import prefdata
from prefdata.accounting.stats import Stats
from prefdata.asking import templates
from prefdata.cli.app import main
from prefdata.config import load_params
from prefdata.dataset.manifest import read_manifest
from prefdata.errors import TableError
from prefdata.records import SCHEMA_VERSION, Demonstration, Pair, Prompt, Record, Response
from prefdata.records.base import OLDEST_VERSION, polars_schema
from prefdata.sources.preferences import PreferencesConfig, PreferencesSource
from prefdata.tables import Table, bucket_of, read_bucket, read_info, read_table, write_bucket
from prefdata.tables.catalog import TABLES
from prefdata.tables.migrations.columns import remove_fields, widen

STORED = Path(__file__).parent.parent / "data"
EARLIER = [f"schema_{version}" for version in range(OLDEST_VERSION, SCHEMA_VERSION)]
RECORDS: dict[str, type[Record]] = {**TABLES, "demonstrations": Demonstration}
of_version_2 = pytest.mark.parametrize("old", ["schema_2"], indirect=True)


@pytest.fixture(params=EARLIER)
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a stored run, in which the test runs."""
    folder = tmp_path / request.param
    shutil.copytree(STORED / request.param, folder)
    params = folder / "params.yaml"
    # As the changelog says of the setting, which was a single export before.
    params.write_text(params.read_text().replace("format: {kind: trl}", "formats: [{kind: trl}]"))
    monkeypatch.chdir(folder)
    return folder


def table(folder: Path, name: str) -> Table:
    return Table(str(folder / "data" / name), RECORDS[name])


def count_asked(usages: dict[str, Stats]) -> dict[str, int]:
    """The requests that a model got, by call."""
    return {
        call: usage.requests - usage.cached
        for stats in usages.values()
        for call, usage in stats.usage.items()
    }


def test_every_readable_version_is_stored() -> None:
    assert sorted(path.name for path in STORED.iterdir()) == EARLIER


def test_every_table_is_read_as_the_record_is_today(old: Path) -> None:
    for name, record in RECORDS.items():
        stored = table(old, name)
        assert read_info(stored).schema_version < SCHEMA_VERSION
        rows = read_table(stored)
        assert rows.schema == polars_schema(record)
        assert rows.height == read_info(stored).rows > 0
        for row in rows.to_dicts():
            record.model_validate(row)
        info = read_info(stored)
        if old.name == "schema_2":
            assert (info.chain, info.files) == (None, None)
        key = list(record.sort_by)
        some = pl.concat(read_bucket(stored, b, info, key) for b in range(info.buckets))
        assert some.equals(rows.select(key))


@pytest.fixture
def unfenced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges' prompts as the version sent them: in version 2 blocks had no boundary."""
    if old.name == "schema_2":
        monkeypatch.setattr(templates, "fence_blocks", lambda template: template)


@of_version_2
def test_only_what_is_sent_otherwise_is_asked_again(old: Path) -> None:
    """Blocks got a boundary, so that prompted judges are asked again, and nobody else."""
    asked = count_asked(flows.run(load_params("params.yaml"), "judge"))
    assert {call for call, count in asked.items() if count} == {"choose policy"}
    assert set(asked) > {"choose policy"}


@pytest.mark.usefixtures("unfenced")
def test_a_rerun_asks_nothing_again_and_writes_what_the_migration_reads(old: Path) -> None:
    before = {name: read_table(table(old, name)) for name in RECORDS}
    assert main(["run", "--quiet"]) == 0

    requests = 0
    for path in (old / "data" / "stats").glob("*.json"):
        for call, usage in Stats.model_validate_json(path.read_bytes()).usage.items():
            assert usage.cached == usage.requests, (path.name, call)
            requests += usage.requests
    assert requests > 200
    for name in RECORDS:
        now = table(old, name)
        assert read_info(now).schema_version == SCHEMA_VERSION
        assert read_table(now).equals(before[name]), name


@of_version_2
@pytest.mark.usefixtures("unfenced")
def test_a_stage_runs_on_old_tables(old: Path) -> None:
    params = load_params("params.yaml")
    before = {name: read_table(table(old, name)) for name in ("judgments", "pairs", "filtered")}
    asked = count_asked(flows.run(params, "judge", "pair", "filter", "export"))
    assert asked == dict.fromkeys(asked, 0)
    for name, rows in before.items():
        now = table(old, name)
        assert read_info(now).schema_version == SCHEMA_VERSION
        # Of old pairs, with nothing between.
        assert read_table(now).equals(rows), name
    assert read_info(table(old, "responses")).schema_version < SCHEMA_VERSION
    assert read_manifest("data/dataset").schema_version == SCHEMA_VERSION
    published = flows.read(old, "dataset")
    sides = before["filtered"].select("pair_id", "chosen_policy", "rejected_policy")
    assert published.select(sides.columns).sort("pair_id").equals(sides.sort("pair_id"))


@of_version_2
def test_policies_are_the_models_name_and_the_author(old: Path) -> None:
    rows = prefdata.read("data", "responses")
    sampled = rows.filter(pl.col("sample_index").is_not_null())
    existing = rows.filter(pl.col("sample_index").is_null())
    assert set(sampled["policy"]) == {"policy"}
    assert set(existing["policy"]) == {"a writer", "ratings.jsonl"}
    pairs = prefdata.read("data", "pairs")
    assert pairs["same_form"].all()
    assert set(pairs["chosen_policy"]) | set(pairs["rejected_policy"]) <= set(rows["policy"])

    # Without the counts of the calls, the policy is what the row says of its model.
    info = Path("data/responses/_table.json")
    info.write_text(json.dumps({**json.loads(info.read_text()), "asked": {}}))
    unnamed = prefdata.read("data", "responses")
    assert (unnamed["policy"] == unnamed["model"]).all()


@of_version_2
def test_pairs_without_their_responses_are_refused(old: Path) -> None:
    pairs, responses = table(old, "pairs"), table(old, "responses")
    first = read_table(pairs).row(0, named=True)
    bucket = bucket_of(first["prompt_id"], 2)
    rows = read_bucket(responses, bucket, read_info(responses))
    left = rows.filter(pl.col("response_id") != first["chosen_id"])
    write_bucket(responses, bucket, 2, left)
    with pytest.raises(TableError, match=f"lacks the responses of 1 .* {first['pair_id']}") as at:
        read_table(pairs)
    assert "Run `prefdata pair`" in at.value.remedy

    info = Path(responses.info_path)
    info.write_text(json.dumps({**json.loads(info.read_text()), "buckets": 4}))
    with pytest.raises(TableError, match="4 buckets, but 2 of"):
        read_table(pairs)
    info.unlink()
    with pytest.raises(TableError, match="responses: no finished table here"):
        read_table(pairs)


@of_version_2
def test_columns_of_no_version_are_refused(old: Path) -> None:
    path = Path(table(old, "pairs").bucket_path(0, 2))
    pl.read_parquet(path).drop("flag").write_parquet(path)
    with pytest.raises(TableError, match="its columns are not those of Pair"):
        read_table(table(old, "pairs"))


def test_a_dataset_is_read(old: Path) -> None:
    folder = str(old / "data" / "dataset")
    manifest = read_manifest(folder)
    assert manifest.schema_version < SCHEMA_VERSION
    assert manifest.main.splits == {"train": 2, "test": 3}
    config = PreferencesConfig(path=folder, split="test")
    source = PreferencesSource(config, "preferences")
    source.check()
    ((prompts, dropped),) = source.read(0, 0.0, 10_000)
    assert prompts.height == manifest.main.splits["test"]
    assert not dropped.height


def test_fields_are_removed_and_come_back_as_nulls() -> None:
    schema = polars_schema(Prompt)
    narrow = remove_fields(schema, ["tools", "messages.thoughts", "messages.tool_calls.id"])
    assert narrow.names() == [name for name in schema.names() if name != "tools"]
    message = {"role": "user", "content": "Hi", "tool_call_id": None, "name": None}
    messages = [
        [{**message, "tool_calls": [{"name": "f", "arguments": "{}"}]}],
        [{**message, "tool_calls": None}],
    ]
    given = pl.DataFrame({"messages": messages}, schema={"messages": narrow["messages"]})
    wide = widen(given, schema)
    assert wide.schema == schema
    first, second = (turns[0] for turns in wide["messages"].to_list())
    assert first == {
        **message,
        "thoughts": None,
        "tool_calls": [{"id": None, "name": "f", "arguments": "{}"}],
    }
    assert second == {**message, "thoughts": None, "tool_calls": None}
    assert wide["tools"].null_count() == 2
    assert widen(given.clear(), schema).schema == schema


@pytest.mark.parametrize("record", [Prompt, Response, Pair])
def test_a_record_of_today_is_not_changed(record: type[Record]) -> None:
    rows = pl.DataFrame(schema=polars_schema(record))
    assert widen(rows, polars_schema(record)).equals(rows)
