"""The card: what it says of the dataset, whatever the texts and names in it are."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from dataset.published import describe_version, make_pairs, publish

from prefdata.dataset.card import escape_markdown, format_code, format_row, render_card
from prefdata.dataset.manifest import FileEntry, read_manifest
from prefdata.tables.chain import Made

HOSTILE = (
    "```\n\n# Take me home\n<script>alert(1)</script>\x1b[2J\u202e | ${{ secrets }} {{ 7*7 }}"
    "\n---\n"
)


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = make_pairs(8).with_columns(chosen=pl.lit(HOSTILE), rejected=pl.lit("x" * 5000))
    return publish(tmp_path_factory.mktemp("card"), pairs, name=HOSTILE)


def test_an_example_row_is_shown_and_obeyed_by_nothing(version: Path) -> None:
    card = (version / "README.md").read_text()
    for found in ("<script", "\x1b", "\u202e", "\n# Take me", "49"):
        assert found not in card.partition("## Models")[2]
        assert found not in card
    block = card.split("```json\n")[1].split("\n```\n")[0]
    row = json.loads(block)
    assert row["chosen"] == [{"role": "assistant", "content": HOSTILE}]
    assert len(row["rejected"][0]["content"]) == 301
    assert set(row) == set(read_manifest(str(version)).main.columns)
    # The card goes on behind it, and begins with the YAML that it should.
    assert "\n## How it was made\n" in card
    assert yaml.safe_load(card.split("---\n")[1])["configs"][0]["config_name"] == "trl"


def test_lines_of_any_text_stay_lines() -> None:
    assert escape_markdown(HOSTILE).count("\n") == 0
    assert "<" not in escape_markdown(HOSTILE)
    code = format_code(HOSTILE)
    assert (code[0], code[-1], code.count("`"), code.count("\n")) == ("`", "`", 2, 0)
    assert format_code({"a": 1, "b": None, "c": []}) == '`{"a": 1}`'
    assert json.loads(format_row({"judgments": [1, 2, 3, 4]})) == {
        "judgments": [1, 2, 3, "… 1 more"]
    }


@pytest.mark.parametrize(
    ("rows", "size"), [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M")]
)
def test_size_and_languages_are_those_of_the_hub(rows: int, size: str, version: Path) -> None:
    found = read_manifest(str(version))
    export = found.main.model_copy(update={"splits": {"train": rows}})
    manifest = found.model_copy(update={"exports": {"trl": export}, "languages": ["no", "en"]})
    front = yaml.safe_load(render_card(manifest, "mit", {}).split("---\n")[1])
    assert front["size_categories"] == [size]
    assert front["language"] == ["no", "en"]
    assert front["license"] == "mit"
    assert front["annotations_creators"] == ["machine-generated"]
    assert (front["source_datasets"], front["tags"][-1]) == (["original"], "library:prefdata")


def test_sources_and_annotators_are_named_in_the_hubs_words() -> None:
    paths = [("org/name", None), ("q.jsonl", "ab"), ("here/there", "cd")]
    sources = [{"path": {"name": name, "sha256": digest}} for name, digest in paths]
    judges = [{"kind": kind, "name": None} for kind in ("human", "pairwise")]
    manifest = describe_version(
        settings={"judge": {"judges": judges}, "export": {"annotators": "expert-generated"}},
        chain={"ingest": Made(version="0", settings={"sources": sources})},
    )
    front = yaml.safe_load(render_card(manifest, "mit", {}).split("---\n")[1])
    assert front["source_datasets"] == ["org/name", "original"]
    assert front["annotations_creators"] == ["machine-generated", "expert-generated"]


def test_each_form_says_how_its_trainer_takes_it() -> None:
    shard = FileEntry(
        path="x/train-00000-of-00001.parquet", split="train", rows=1, bytes=1, sha256=""
    )
    forms = {
        name: describe_version().main.model_copy(
            update={"kind": name, "files": [shard], "splits": {"train": 1}}
        )
        for name in ("trl", "llama_factory", "of_a_plugin")
    }
    card = render_card(describe_version(exports=forms), "mit", {}).partition("## Load it")[2]
    assert 'DPOTrainer("your/model", train_dataset=dataset["train"])' in card
    assert "--dataset_dir llama_factory --dataset llama_factory_train" in card
    assert card.count('load_dataset("...", "') == 3
