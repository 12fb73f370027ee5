"""`prefdata ches --data` on datasets of every container, its limits, and its errors."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from ches_runs import CONTAINERS, Command, put, rows, values

from prefdata.cli.ches.command import parse_columns
from prefdata.cli.ches.rows import read_dataset
from prefdata.errors import ConfigError
from prefdata.sources.detect import open_dataset_source
from prefdata.sources.rows.pairs import find_annotations


@pytest.fixture
def ches(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> Command:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return Command(tmp_path, capsys)


def is_lasting(path: Path) -> bool:
    """Whether a file holds nothing that varies between equal runs."""
    return path.is_file() and "stats" not in path.parts


@pytest.mark.parametrize("name", ["pairs.jsonl", "folder"])
def test_the_limit_decides_what_the_filtered_copy_holds(
    name: str, tmp_path: Path, ches: Command
) -> None:
    data = put(tmp_path, name, rows())
    out = tmp_path / "out"
    code, said = ches(data, "--max-quantile", "0.7", "--out", str(out))
    assert code == 0
    assert (said["rows"], said["measured"], said["unmeasured"]) == (40, 40, {})
    assert said["choice"]["kept"] == 28
    copy = out / ("train.parquet" if name == "folder" else name)
    assert said["written"]["filtered"] == str(copy)
    scores = pl.read_parquet(out / "scores.parquet")
    assert scores["row"].to_list() == list(range(40))
    keep = scores["keep"].to_list()
    assert values(copy) == [row for row, stays in zip(rows(), keep, strict=True) if stays]
    limit = said["choice"]["limit"]
    assert (scores["ches_normalized"] <= limit).to_list() == keep
    assert json.loads((out / "report.json").read_bytes())["choice"] == said["choice"]
    # What loads the folder gets the copy, not the scores.
    loaded = pytest.importorskip("datasets").load_dataset(str(out), split="train")
    assert loaded.num_rows == 28
    assert "ches" not in loaded.column_names


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_pairs_and_its_copy_has_its_own_form(
    name: str, tmp_path: Path
) -> None:
    data = put(tmp_path, name, rows())
    plain = put(tmp_path, "plain.jsonl", rows())
    found, wanted = (read_dataset(open_dataset_source(str(path))) for path in (data, plain))
    assert (found.count, found.reasons.height) == (40, 0)
    assert found.form == wanted.form
    assert found.pairs.drop("origin").equals(wanted.pairs.drop("origin"))
    keep = [number % 10 in (0, 3, 4) for number in range(40)]
    kept = [number for number, stays in enumerate(keep) if stays]
    copy = tmp_path / "out" / found.dataset.file
    copy.parent.mkdir()
    copy.write_bytes(found.dataset.copy(kept, None))
    assert copy.name == ("train.parquet" if name == "folder" else name)
    assert values(copy) == [row for row, stays in zip(rows(), keep, strict=True) if stays]
    if name == "pairs.jsonl":
        lines = data.read_bytes().split(b"\n")
        assert copy.read_bytes() == b"".join(lines[number] + b"\n" for number in kept)
    if name.endswith("parquet"):
        assert pq.read_schema(copy).equals(pq.read_schema(data), check_metadata=True)


def test_columns_can_be_named_and_measures_stand_in_the_copy(tmp_path: Path, ches: Command) -> None:
    names = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    some = [{names.get(name, name): value for name, value in row.items()} for row in rows()]
    data = put(tmp_path, "pairs.jsonl.gz", some)
    out, columns = tmp_path / "out", "prompt=q,chosen=good,rejected=bad"
    assert parse_columns(columns) == names
    limit = ["--max-value", "0", "--measure", "ches", "--columns", columns]
    code, said = ches(data, *limit, "--add-columns", "--out", str(out))
    assert code == 0
    scores = pl.read_parquet(out / "scores.parquet").filter("keep")
    assert (scores["ches"] <= 0).all()
    found = values(Path(said["written"]["filtered"]))
    assert [row["ches"] for row in found] == scores["ches"].to_list()
    assert [row["extra"]["n"] for row in found] == scores["row"].to_list()


def test_the_lowest_of_each_prompt(tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, "pairs.jsonl", rows())
    code, said = ches(data, "--best-of-prompt", "1", "--out", str(tmp_path / "out"))
    assert code == 0
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    asked = scores.with_columns(prompt=pl.col("row") // 2)
    lowest = asked.group_by("prompt").agg(pl.col("row").sort_by("ches_normalized").first())
    assert sorted(lowest["row"]) == scores.filter("keep")["row"].to_list()
    assert said["choice"]["limit"] is None


def test_another_limit_asks_the_model_nothing(tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, "pairs.jsonl", rows())
    _, first = ches(data)
    assert first["models"]["hidden_sums policy"]["cached"] == 0
    code, again = ches(data, "--max-quantile", "0.5", "--out", str(tmp_path / "out"))
    usage = again["models"]["hidden_sums policy"]
    assert code == 0
    assert usage["cached"] == usage["requests"] > 40
    assert again["quantiles"] == first["quantiles"]
    written = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*.*") if is_lasting(p)}
    assert len(written) > 10
    ches(data, "--max-quantile", "0.5", "--out", str(tmp_path / "out"))
    assert {path: path.read_bytes() for path in written} == written


def test_an_interrupted_run_goes_on(tmp_path: Path, ches: Command, monkeypatch: Any) -> None:
    from prefdata.engines.scripted import ScriptedEngine

    data = put(tmp_path, "pairs.jsonl", rows())
    _, whole = ches(data, "--out", str(tmp_path / "whole"))
    whole_scores = (tmp_path / "whole" / "scores.parquet").read_bytes()
    for file in (tmp_path / "memo").rglob("*.parquet"):
        file.unlink()
    plain, calls = ScriptedEngine.hidden_sums, []

    def stops(self: Any, asked: Any, settings: Any) -> Any:
        calls.append(asked.height)
        if len(calls) == 3:
            raise KeyboardInterrupt
        yield from plain(self, asked, settings)

    monkeypatch.setattr(ScriptedEngine, "hidden_sums", stops)
    code, said = ches(data)
    assert code == 130
    assert "interrupted" in said
    monkeypatch.setattr(ScriptedEngine, "hidden_sums", plain)
    code, resumed = ches(data, "--out", str(tmp_path / "out"))
    # Another bucket may have been at work beside the one that was interrupted.
    assert resumed["models"]["hidden_sums policy"]["cached"] in (
        sum(calls[:2]),
        sum(calls) - calls[2],
    )
    assert (tmp_path / "out" / "scores.parquet").read_bytes() == whole_scores
    assert resumed["riskiest"] == whole["riskiest"]


@pytest.mark.parametrize(
    ("data", "more", "exit_code", "said"),
    [
        ("none.jsonl", [], 1, "can't be opened"),
        ("none", [], 1, "neither a file or folder that is here nor a hub id"),
        ("here.txt", [], 1, "can't tell its format from its name"),
        ("here.jsonl", ["--split", "train"], 1, "a file has no split"),
        ("here.jsonl", ["--columns", "prompt=p"], 1, "no column 'p' for prompt; it has: prompt"),
        (
            "here.jsonl",
            ["--max-quantile", "1.5"],
            2,
            "max_quantile: Input should be less than or equal to 1",
        ),
        (
            "here.jsonl",
            ["--best-of-prompt", "0"],
            2,
            "best_of_prompt: Input should be greater than 0",
        ),
        ("here.jsonl", ["--limit", "0"], 2, "limit: Input should be greater than 0"),
        ("here.jsonl", ["--add-columns"], 2, "no filtered copy without a limit"),
        ("here.jsonl", ["--max-value", "1", "--add-columns"], 2, "needs --out FOLDER"),
        ("text.jsonl", [], 1, "no column of chosen responses; it has: text"),
        ("broken.jsonl", [], 1, "holds no pair in 1 rows; the first: invalid_json"),
        ("empty.jsonl", [], 1, "holds no pair in 0 rows"),
        ("broken.parquet", [], 1, "not a Parquet file"),
        ("cut.jsonl.gz", [], 1, "can't be read to its end"),
    ],
)
def test_bad_input_is_named(
    data: str, more: list[str], exit_code: int, said: str, tmp_path: Path, ches: Command,
) -> None:  # fmt: skip
    put(tmp_path, "here.jsonl", rows(4))
    for name, content in {
        "here.txt": b"Hi",
        "text.jsonl": b'{"text": "Hi"}\n',
        "broken.jsonl": b"{oops\n",
        "empty.jsonl": b"",
        "broken.parquet": b"PAR1 no",
        "cut.jsonl.gz": gzip.compress(b"{}" * 100)[:20],
    }.items():
        (tmp_path / name).write_bytes(content)
    code, error = ches(tmp_path / data, *more)
    assert (code, said in error) == (exit_code, True), error
    assert "Traceback" not in error


def test_two_limits_are_refused(tmp_path: Path, ches: Command) -> None:
    code, error = ches("x.jsonl", "--max-value", "1", "--max-quantile", "0.5")
    assert code == 2
    assert "set exactly one of max_quantile, max_value and best_of_prompt" in error


@pytest.mark.parametrize("given", ["prompt", "response=x", "chosen="])
def test_columns_named_wrongly(given: str) -> None:
    with pytest.raises(ConfigError, match="is not NAME=COLUMN"):
        parse_columns(given)


def test_the_copy_never_replaces_the_dataset(tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, "pairs.jsonl", rows(6))
    before = data.read_bytes()
    code, error = ches(data, "--max-quantile", "0.5", "--out", str(tmp_path))
    assert code == 1
    assert "would replace" in error
    assert data.read_bytes() == before


def test_a_hub_id_is_loaded_by_datasets(tmp_path: Path, ches: Command, monkeypatch: Any) -> None:
    import datasets

    asked = []

    def load(*arguments: Any, **more: Any) -> Any:
        asked.append((arguments, more))
        table = datasets.Dataset.from_list(rows(10))
        return datasets.DatasetDict({"train": table, "test": table.select(range(4))})

    monkeypatch.setattr(datasets, "load_dataset", load)
    code, error = ches("owner/pairs")
    assert code == 1
    assert "it has the splits train, test" in error
    more = ["--revision", "v1", "--max-quantile", "0.5", "--out", str(tmp_path / "out")]
    code, said = ches("owner/pairs", "--split", "test", *more)
    assert code == 0
    assert asked[-1] == (("owner/pairs", None), {"revision": "v1"})
    assert said["rows"] == 4
    assert len(pq.read_table(tmp_path / "out" / "test.parquet")) == 2
    code, error = ches("owner/pairs", "--split", "dev")
    assert "has no split 'dev'; it has: train, test" in error


def test_a_hub_that_does_not_answer_is_said(ches: Command, monkeypatch: Any) -> None:
    import datasets

    def load(*_: Any, **__: Any) -> Any:
        raise ConnectionError("Couldn't reach the Hub\nand more lines")

    monkeypatch.setattr(datasets, "load_dataset", load)
    code, error = ches("owner/pairs")
    assert code == 1
    assert "owner/pairs: can't be loaded from the hub: Couldn't reach the Hub" in error


@pytest.mark.slow
def test_the_demo_policy_on_the_demo_pairs(root: Path, tmp_path: Path, ches: Command) -> None:
    demo = [
        "--limit", "12", "--max-quantile", "0.5", "--out", str(tmp_path / "out"),
        "--model", str(root / "demo/policy"),
    ]  # fmt: skip
    code, said = ches(root / "demo/data/preferences.jsonl.gz", *demo, engine="transformers")
    assert code == 0
    assert said["measured"] == 12
    assert said["choice"]["kept"] == 6
    found = values(tmp_path / "out" / "preferences.jsonl.gz")
    assert set(found[0]) == {"prompt", "chosen", "rejected", "source", "split"}


def test_any_kind_of_source_gives_its_pairs(tmp_path: Path) -> None:
    ranked = {
        "prompt": "2 + 2?",
        "answers": [{"answer": text, "rank": n} for n, text in enumerate(("4", "four", "5"), 1)],
    }
    source = open_dataset_source(
        str(put(tmp_path, "ranked.jsonl", [ranked, {**ranked, "answers": 3}]))
    )
    annotations = find_annotations(source)
    found = read_dataset(source, annotations)
    assert (found.form, annotations, found.count) == ("nectar", "ranking", 2)
    assert sorted(found.pairs.select("row", "chosen", "rejected").rows()) == [
        (0, "4", "5"), (0, "4", "four"), (0, "four", "5"),
    ]  # fmt: skip
    assert found.reasons.select("row", "reason", "fault").rows() == [(1, "missing_field", True)]
    with pytest.raises(ConfigError, match="row 1 holds 3 pairs"):
        read_dataset(source, annotations, copied_to=str(tmp_path / "out"))
    rated = {"prompt": "2 + 2?", "response": "4", "helpfulness": 4, "correctness": 3}
    assert (
        find_annotations(
            open_dataset_source(str(put(tmp_path, "rated.jsonl", [rated])), "helpsteer2")
        )
        == "rating"
    )
