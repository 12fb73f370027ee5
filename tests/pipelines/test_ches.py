"""`prefdata ches` on datasets of every container, its choices, and what it says of bad input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefdata.cli import main

WORDS = "a river runs through the old town and its water is cold in every winter".split()


def rows(count: int = 40) -> list[dict[str, Any]]:
    """Pairs, two a prompt, with a column that no one asked for."""
    return [
        {
            "prompt": f"Question {n // 2}?",
            "chosen": " ".join(WORDS[n % 5 : n % 5 + 4 + n % 7]),
            "rejected": " ".join(WORDS[n % 3 : n % 3 + 9]),
            "source": ("web", "books")[n % 2],
            "extra": {"n": n},
        }
        for n in range(count)
    ]


def lines(some: list[Any]) -> bytes:
    # Blanks that a rewritten line would lose.
    return b"".join(json.dumps(row, indent=None).encode() + b" \n" for row in some)


CONTAINERS = (
    "pairs.jsonl",
    "pairs.jsonl.gz",
    "pairs.json",
    "lines.json",
    "pairs.parquet",
    "folder",
)


def put(folder: Path, name: str, some: list[dict[str, Any]]) -> Path:
    path = folder / name
    if name == "folder":
        path.mkdir()
        pq.write_table(pa.Table.from_pylist(some), path / "train.parquet")
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(some), path)
    elif name == "pairs.json":
        path.write_text(json.dumps(some))
    else:
        path.write_bytes(gzip.compress(lines(some)) if name.endswith(".gz") else lines(some))
    return path


def values(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        content = gzip.decompress(content)
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return (
        json.loads(content)
        if path.name == "pairs.json"
        else [*map(json.loads, content.split(b"\n")[:-1])]
    )


class Command:
    """The command in a folder of its own, with the scripted model."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, data: Path | str, *more: str, engine: str = "scripted") -> tuple[int, Any]:
        """(exit code, figures or what was said on standard error)."""
        fixed = ["ches", "--model", "m", "--engine", engine, "--memo", str(self.folder / "memo")]
        code = main([*fixed, "--data", str(data), "--json", "--quiet", *more])
        out, err = self.capsys.readouterr()
        return code, json.loads(out) if out else err


@pytest.fixture
def ches(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> Command:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return Command(tmp_path, capsys)


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_filtered_copy_has_the_datasets_own_form(
    name: str, tmp_path: Path, ches: Command
) -> None:
    data = put(tmp_path, name, rows())
    out = tmp_path / "out"
    code, said = ches(data, "--keep-quantile", "0.7", "--out", str(out))
    assert code == 0
    assert (said["rows"], said["scored"], said["unscored"]) == (40, 40, {})
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
    if name == "pairs.jsonl":
        kept = [x for x, stays in zip(data.read_bytes().split(b"\n"), keep, strict=False) if stays]
        assert copy.read_bytes() == b"\n".join(kept) + b"\n"
    if name.endswith("parquet"):
        assert pq.read_schema(copy).equals(pq.read_schema(data), check_metadata=True)


@pytest.mark.parametrize("name", CONTAINERS)
def test_scores_can_stand_in_the_copy(name: str, tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, name, rows())
    out = tmp_path / "out"
    code, said = ches(
        data, "--max-ches", "0", "--score", "ches", "--add-columns", "--out", str(out)
    )
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
    assert first["models"]["hidden_sums model"]["cached"] == 0
    code, again = ches(data, "--keep-quantile", "0.5", "--out", str(tmp_path / "out"))
    usage = again["models"]["hidden_sums model"]
    assert code == 0
    assert usage["cached"] == usage["requests"] > 40
    assert again["quantiles"] == first["quantiles"]
    written = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    ches(data, "--keep-quantile", "0.5", "--out", str(tmp_path / "out"))
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == written


def test_an_interrupted_run_goes_on(tmp_path: Path, ches: Command, monkeypatch: Any) -> None:
    from pipelines import ches as command
    from prefdata.engines.scripted import ScriptedEngine

    data = put(tmp_path, "pairs.jsonl", rows())
    _, whole = ches(data, "--out", str(tmp_path / "whole"))
    whole_scores = (tmp_path / "whole" / "scores.parquet").read_bytes()
    for file in (tmp_path / "memo").rglob("*.parquet"):
        file.unlink()
    monkeypatch.setattr(command, "CHUNK_PAIRS", 10)
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
    assert resumed["models"]["hidden_sums model"]["cached"] == sum(calls[:2])
    assert (tmp_path / "out" / "scores.parquet").read_bytes() == whole_scores
    assert resumed["riskiest"] == whole["riskiest"]


def test_the_report_for_people(tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, "pairs.jsonl", [{**row, "margin": 0.5} for row in rows()])
    main(["ches", "--model", "m", "--engine", "scripted", "--data", str(data), "--quiet",
          "--memo", str(tmp_path / "memo"), "--examples", "2"])  # fmt: skip
    said = ches.capsys.readouterr().out
    for part in (
        "40 rows, prompt (text), answers as text; 40 scored",
        "what each limit would leave",
        "what would go with --keep-quantile 0.9, limit",
        "source = books",
        "the riskiest pairs",
        "No pair was dropped.",
    ):
        assert part in said
    assert said.count("    rejected  ") == 2
    assert "█" in said


def test_the_figures_add_up(tmp_path: Path, ches: Command) -> None:
    some = [{**row, "score_chosen": n, "score_rejected": 0} for n, row in enumerate(rows())]
    some[3]["rejected"] = some[3]["chosen"]
    _, said = ches(put(tmp_path, "pairs.jsonl", some), "--keep-quantile", "0.9")
    kinds = {k["kind"]: k for k in said["what_goes"]}
    assert kinds["all pairs"]["pairs"] == 40
    assert kinds["all pairs"]["go"] == said["choice"]["dropped"] == 4
    assert kinds["identical answers"]["pairs"] == 1
    assert kinds["source = web"]["pairs"] == kinds["source = books"]["pairs"] == 20
    assert sum(said["histogram"]["counts"]) == 40
    curve = said["curve"]
    assert [point["kept"] for point in curve] == sorted(point["kept"] for point in curve)
    assert curve[-1]["kept"] == 40
    assert curve[-1]["mean_margin"] == pytest.approx(sum(range(40)) / 40)
    identical = pl.DataFrame(said["riskiest"]).filter(row=3)
    assert not identical.height or identical["ches"].item() == 0


def test_rows_that_are_no_pair_are_counted_and_left_out(tmp_path: Path, ches: Command) -> None:
    some = rows()
    some[7]["chosen"] = None
    data = tmp_path / "pairs.jsonl"
    data.write_bytes(lines(some[:9]) + b"{broken\n" + lines(some[9:]))
    code, said = ches(data, "--keep-quantile", "1", "--out", str(tmp_path / "out"))
    assert code == 3
    assert said["unscored"] == {"invalid_json": 1, "missing_field": 1}
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    assert scores.filter(pl.col("reason").is_not_null())["row"].to_list() == [7, 9]
    assert len(values(tmp_path / "out" / "pairs.jsonl")) == 39
    code, _ = ches(data, "--max-rejected-fraction", "0.1")
    assert code == 0


def test_ties_are_no_fault(tmp_path: Path, ches: Command) -> None:
    some = [
        {
            "prompt": f"{n}?",
            "response_1": "a b",
            "response_2": "c",
            "preference_strength": n % 3 - 1,
        }
        for n in range(9)
    ]
    code, said = ches(put(tmp_path, "pairs.jsonl", some))
    assert code == 0
    assert said["unscored"] == {"tie": 3}


@pytest.mark.parametrize(
    ("data", "more", "exit_code", "said"),
    [
        ("none.jsonl", [], 1, "no such file"),
        ("none", [], 1, "neither a file or folder that is here nor a hub id"),
        ("here.txt", [], 1, "can't tell its format from its name"),
        ("here.jsonl", ["--split", "train"], 1, "a file has no split"),
        ("here.jsonl", ["--columns", "prompt=p"], 1, "no column 'p' for prompt; it has: prompt"),
        ("here.jsonl", ["--keep-quantile", "1.5"], 2, "a share above 0, at most 1"),
        ("here.jsonl", ["--best-of-prompt", "0"], 2, "1 or more"),
        ("here.jsonl", ["--limit", "0"], 2, "--limit 0: a positive number was expected"),
        ("here.jsonl", ["--add-columns"], 2, "no filtered copy without a limit"),
        ("here.jsonl", ["--max-ches", "1", "--add-columns"], 2, "needs --out FOLDER"),
        ("text.jsonl", [], 1, "no column of chosen answers; it has: text"),
        ("broken.jsonl", [], 1, "holds no pair in 1 rows; the first: invalid_json"),
        ("empty.jsonl", [], 1, "holds no pair in 0 rows"),
        ("broken.parquet", [], 1, "not a Parquet file"),
        ("cut.jsonl.gz", [], 1, "can't be unpacked"),
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
    with pytest.raises(SystemExit) as stopped:
        ches("x.jsonl", "--max-ches", "1", "--keep-quantile", "0.5")
    assert stopped.value.code == 2


def test_the_copy_never_replaces_the_dataset(tmp_path: Path, ches: Command) -> None:
    data = put(tmp_path, "pairs.jsonl", rows(6))
    before = data.read_bytes()
    code, error = ches(data, "--keep-quantile", "0.5", "--out", str(tmp_path))
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
    more = ["--revision", "v1", "--keep-quantile", "0.5", "--out", str(tmp_path / "out")]
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
        "--limit", "12", "--keep-quantile", "0.5", "--out", str(tmp_path / "out"),
        "--model", str(root / "demo/policy"),
    ]  # fmt: skip
    code, said = ches(root / "demo/data/preferences.jsonl.gz", *demo, engine="transformers")
    assert code == 0
    assert said["scored"] == 12
    assert said["choice"]["kept"] == 6
    found = values(tmp_path / "out" / "preferences.jsonl.gz")
    assert set(found[0]) == {"prompt", "chosen", "rejected", "source", "split"}
