"""`prefdata explain` and `prefdata show`, on runs that earlier versions of prefdata stored."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from lineage.test_lineage import write_dropped
from rich.console import Console
from tables.test_migrations import STORED

from prefdata.cli.app import main
from prefdata.errors import ConfigError
from prefdata.lineage.sample import Wanted
from prefdata.reports.dataset.explain import report_explained
from prefdata.reports.dataset.passages import Passage, Sides
from prefdata.reports.dataset.show import report_dropped, report_pairs
from prefdata.reports.render import print_blocks
from prefdata.text.differences import mark_differences

PROMPT = "c848da6c99632650ad8d05969f89fc15"
"""Its pair was dropped by a filter."""
VERSIONS = ("schema_2", "schema_3")
HOSTILE = "\x1b[31mred\u202e [bold]{{ 7 * 7 }}"


def draw(block: Passage | Sides, width: int) -> list[str]:
    stream = io.StringIO()
    print_blocks([block], Console(file=stream, width=width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_whole_story_is_told(version: str) -> None:
    data = str(STORED / version / "data")
    text = str(report_explained(data, PROMPT[:9]))
    for part in (
        f"prompt {PROMPT}, train, from ratings.jsonl, ratings.jsonl:1",
        "[5] response ",
        "by policy, sample 0, seed ",
        "label: ",
        "CHES of ",
        "chosen, ",
        "augmented: reward_chosen ",
        "dropped by filter: high_ches_normalized: ",
        "dropped by pair: not_best_worst: ",
        "pairwise",
    ):
        assert part in text, part
    # The pair comes first.
    assert text.index("dropped by filter") < text.index("dropped by pair")


def test_every_judges_words_are_told() -> None:
    told = report_explained(str(STORED / "schema_3/data"), PROMPT)
    assert told.story is not None
    first, *others = told.story.comparisons
    said = {"trace": f"Both ramble. {HOSTILE}", "unscored": "no_verdict: none", "preference": None}
    judgments = [each.model_copy(update=said) for each in first.judgments]
    changed = first.model_copy(update={"judgments": judgments})
    story = told.story.model_copy(update={"comparisons": [changed, *others]})
    text = str(told.model_copy(update={"story": story}))
    for judgment in judgments:
        assert f"{judgment.judge} wrote\n    Both ramble. \\x1b[31m" in text
    assert text.count("no_verdict: none") == len(judgments)
    assert "\x1b" not in text


def test_long_texts_are_cut_unless_all_is_wanted() -> None:
    told = report_explained(str(STORED / "schema_3/data"), PROMPT)
    long = told.model_copy(update={"texts": {PROMPT: "word " * 200}})
    assert "… (600 more characters: --full)" in str(long)
    assert "word " * 199 in str(long.model_copy(update={"full": True}))


def test_a_row_that_never_became_a_prompt_is_told(tmp_path: Path) -> None:
    shutil.copytree(STORED / "schema_3/data", tmp_path / "data")
    row = {"stage": "ingest", "reason": "no_prompt", "detail": "no field prompt", "fault": True}
    rows = [{**row, "origin": "bad.jsonl:7", "record": '"promt: Why?"'}]
    write_dropped(str(tmp_path / "data"), "ingest", rows)
    told = report_explained(str(tmp_path / "data"), "bad.jsonl:7")
    assert "ingest: no_prompt (at fault): no field prompt" in str(told)
    shown = report_dropped(
        str(tmp_path / "data/dataset"), Wanted(reason="no_prompt"), 1, 0, full=False
    )
    assert "1. bad.jsonl:7\n  dropped by ingest: no_prompt" in str(shown)


def test_of_a_pair_its_own_comparison_is_told() -> None:
    data = str(STORED / "schema_3/data")
    pairs = pl.read_parquet(f"{data}/filtered/*.parquet")
    pair = pairs.row(0, named=True)
    explained = report_explained(data, pair["pair_id"])
    assert explained.pair_id == pair["pair_id"]
    text = str(explained)
    assert f"pair {pair['pair_id']} by best_worst: " in text
    assert "passed near_identical, ches; ches " in text
    assert "in the dataset: data/t" in text
    assert "other comparisons: prefdata explain" in text
    assert "not_best_worst" not in text


def test_several_matches_are_listed_and_none_is_refused() -> None:
    data = str(STORED / "schema_3/data")
    listed = report_explained(data, "a")
    assert listed.story is None
    assert len(listed.matches) > 1
    assert f"{len(listed.matches)} match 'a': name one by its id." in str(listed)
    with pytest.raises(ConfigError, match="no prompt, pair or response"):
        report_explained(data, "not a word of this")


def test_the_command_prints_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(STORED / "schema_3", tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("format: {kind: trl}", "formats: [{kind: trl}]"))
    assert main(["explain", PROMPT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["story"]["prompt"]["origin"] == "ratings.jsonl:1"
    assert told["matches"][0]["found"] == "prompt"
    assert main(["show", "-n", "2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["shown"]) == 2
    assert main(["show", "--dropped", "--reason", "high_ches_normalized", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["shown"]
    assert (shown["prompt_id"], shown["titles"]) == (PROMPT, ["chosen", "rejected"])
    assert all(shown["texts"])
    assert main(["show", "--reason", "x"]) == 2
    assert main(["show", "--judge", "pairwize"]) == 2
    assert "did you mean 'pairwise'" in capsys.readouterr().err


@pytest.mark.parametrize("version", VERSIONS)
def test_pairs_are_shown_with_what_was_said(version: str) -> None:
    dataset = str(STORED / version / "data/dataset")
    shown = report_pairs(dataset, Wanted(), 2, 0, full=False)
    text = str(shown)
    assert text.count("chosen, by ") == text.count("rejected, by ") == 2
    assert "soft_label " in text
    none = report_pairs(dataset, Wanted(source="nowhere"), 2, 0, full=False)
    assert "nothing fits these filters" in str(none)


def test_dropped_records_lie_beside_the_run_alone(tmp_path: Path) -> None:
    dataset = STORED / "schema_3/data/dataset"
    shutil.copytree(dataset, tmp_path / "dataset")
    with pytest.raises(ConfigError, match="no tables of dropped records beside"):
        report_dropped(str(tmp_path / "dataset"), Wanted(), 2, 0, full=False)
    with pytest.raises(ConfigError, match="have no margin"):
        report_dropped(str(dataset), Wanted(min_margin=1), 2, 0, full=False)
    with pytest.raises(ConfigError, match="did you mean 'not_best_worst'") as error:
        report_dropped(str(dataset), Wanted(reason="not_best_wurst"), 2, 0, full=False)
    assert error.value.remedy == "The reasons are high_ches_normalized, not_best_worst."
    shown = report_dropped(str(dataset), Wanted(), 3, 0, full=False)
    assert str(shown).count("dropped by ") == 3


def test_texts_stand_side_by_side_where_there_is_room() -> None:
    sides = Sides(("chosen", "rejected"), ("one two", "one three"))
    assert [line.split() for line in draw(sides, 80)] == [
        ["chosen", "rejected"],
        ["one", "two", "one", "three"],
    ]
    assert draw(sides, 79) == ["chosen", "  one two", "rejected", "  one three"]
    assert sides.format().splitlines() == draw(sides, 79)


@pytest.mark.parametrize("width", [79, 120])
def test_texts_of_others_do_nothing_to_the_terminal(width: int) -> None:
    for block in (Sides((HOSTILE,) * 2, (HOSTILE, "")), Passage(HOSTILE, HOSTILE, depth=1)):
        for text in ("\n".join(draw(block, width)), block.format()):
            assert "\\x1b[31mred\\u202e [bold]{{ 7 * 7 }}" in text
            assert "\x1b" not in text


def test_the_words_that_differ_are_marked() -> None:
    one, other = mark_differences("The cat sat.", "The big cat sat!")
    assert one == [("The cat sat", False), (".", True)]
    assert other == [("The ", False), ("big ", True), ("cat sat", False), ("!", True)]
    for text in ("", "a b c", "word " * 5_000):
        assert mark_differences(text, text) == ([(text, False)] if text else [],) * 2
    # Of very long texts the beginnings are compared, and all is shown.
    numbers = " ".join(map(str, range(5_000)))
    assert mark_differences(f"a {numbers} b", f"c {numbers} d") == (
        [("a ", True), (f"{numbers} b", False)],
        [("c ", True), (f"{numbers} d", False)],
    )
