"""What differs between two versions: each change is found and counted, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from dataset.published import make_pairs, publish
from hypothesis import given, settings
from hypothesis import strategies as st
from tables.test_migrations import STORED

from prefdata.accounting.probe import Probe, ProbeFigures
from prefdata.cli.app import main
from prefdata.dataset.difference.drift import QUANTILES, Changes
from prefdata.dataset.difference.pairs import KINDS, MOST_NAMED
from prefdata.dataset.manifest import Manifest, read_manifest
from prefdata.errors import ConfigError, TableError
from prefdata.reports.dataset.diff import Difference, report_difference
from prefdata.reports.dataset.drops import compare_drops, tabulate_drops

PROBE = {
    "pairs_tested": 200,
    "accuracy": 0.61,
    "accuracy_low": 0.54,
    "accuracy_high": 0.68,
    "length_accuracy": 0.6,
    "beyond_length_low": -0.03,
}
COUNT = 20
AT = pl.int_range(pl.len())


def judge(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs with rewards, and the judgments of a model and of a person."""

    def say(judge: str, annotator: str | None, preference: float, reward: float | None) -> pl.Expr:
        return pl.struct(
            judge=pl.lit(judge),
            dimension=pl.lit("helpfulness"),
            annotator=pl.lit(annotator, pl.String),
            group=pl.lit(None, pl.String),
            preference=pl.lit(preference),
            reward_chosen=pl.lit(reward, pl.Float64),
            reward_rejected=pl.lit(reward and reward - 1, pl.Float64),
            spread=pl.lit(None, pl.Float64),
        )

    return pairs.with_columns(
        reward_chosen=pl.lit(2.0),
        reward_rejected=pl.lit(1.0),
        margin=pl.lit(1.0),
        judgments=pl.concat_list(say("rm", None, 0.75, 2.0), say("human", "ann", 1.0, None)),
    )


def place(pairs: pl.DataFrame) -> pl.DataFrame:
    """The pairs with prompts of the buckets in which `publish` puts them."""
    head = pl.concat_str(pl.when(AT % 2 == 0).then(pl.lit("0")).otherwise(pl.lit("8")))
    return pairs.with_columns(prompt_id=head + pl.col("prompt_id").str.slice(1))


PAIRS = place(judge(make_pairs(COUNT)))
REWARDED = PAIRS["judgments"].list.eval(
    pl.struct(
        pl.when(pl.element().struct.field("judge") == "rm")
        .then(0.25)
        .otherwise(pl.element().struct.field("preference"))
        .alias("preference"),
        *(
            pl.element().struct.field(name)
            for name in ("judge", "dimension", "annotator", "group", "reward_chosen", "spread")
        ),
        (pl.element().struct.field("reward_rejected") + 2).alias("reward_rejected"),
    )
)


def flip(rows: pl.DataFrame, at: pl.Expr) -> pl.DataFrame:
    """These pairs the other way round, each with the id of such a pair."""
    sides = ("chosen", "rejected", "chosen_id", "rejected_id", "reward_chosen", "reward_rejected")
    other = {
        name: name.replace("chosen", "-").replace("rejected", "chosen").replace("-", "rejected")
        for name in sides
    }
    turned = pl.col("judgments").list.eval(
        pl.struct(
            *(
                pl.element().struct.field(name)
                for name in ("judge", "dimension", "annotator", "group", "spread")
            ),
            (1 - pl.element().struct.field("preference")).alias("preference"),
            pl.element().struct.field("reward_rejected").alias("reward_chosen"),
            pl.element().struct.field("reward_chosen").alias("reward_rejected"),
        )
    )
    fields = rows.schema["judgments"].inner.fields  # type: ignore[attr-defined]
    ordered = turned.list.eval(pl.struct(pl.element().struct.field(f.name) for f in fields))
    return rows.with_columns(
        *(pl.when(at).then(other[name]).otherwise(name).alias(name) for name in sides),
        pair_id=pl.when(at).then("f" + pl.col("pair_id").str.slice(1)).otherwise("pair_id"),
        judgments=pl.when(at).then(ordered).otherwise("judgments"),
    )


def set_value(column: str, value: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """A change of every third pair."""
    return lambda rows: rows.with_columns(
        pl.when(AT % 3 == 0).then(value).otherwise(column).alias(column)
    )


CHANGES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "added": lambda rows: place(judge(make_pairs(COUNT + 7))),
    # So that files no longer hold the prompts of their buckets.
    "removed": lambda rows: rows.filter(AT % 3 != 0),
    "flipped": lambda rows: flip(rows, AT % 3 == 0),
    "texts": set_value("chosen", pl.col("chosen") + "!"),
    "rewards": set_value("reward_chosen", pl.lit(5.0)),
    "label": set_value("soft_label", pl.lit(0.99)),
    "split": set_value("split", pl.lit("test")),
    "id": set_value("pair_id", "e" + pl.col("pair_id").str.slice(1)),
}
"""Each makes 7 pairs differ in one way."""


def compare(folder: Path, other: pl.DataFrame, one: pl.DataFrame = PAIRS) -> Difference:
    publish(folder / "a", one)
    publish(folder / "b", other)
    return report_difference(str(folder / "a"), str(folder / "b"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_found_and_nothing_else(kind: str, tmp_path: Path) -> None:
    changed = CHANGES[kind](PAIRS)
    found = compare(tmp_path, changed)
    # Some are of the test split already.
    count = int((changed["split"] != PAIRS["split"]).sum()) if kind == "split" else 7
    counts = {each: number for each, number in found.pairs.items() if number and each != "kept"}
    # The soft labels of made-up pairs depend on how many there are.
    counts.pop("label", None) if kind == "added" else None
    assert counts == {kind: count}
    assert found.differs
    gone = count if kind in ("removed", "flipped") else 0
    assert found.pairs["kept"] == COUNT - gone
    assert len(found.named[kind]) == min(count, MOST_NAMED)
    assert sum(each[kind] for each in found.by_split.values()) == count
    assert sum(each[kind] for each in found.by_source.values()) == count
    assert list(found.by_source) == ["tests"]
    back = report_difference(str(tmp_path / "b"), str(tmp_path / "a"))
    opposite = {"added": "removed", "removed": "added"}.get(kind, kind)
    assert back.pairs[opposite] == count
    # What judges say of a flipped pair is compared as of the same comparison.
    assert all(each.preference.changed == each.rewards.changed == 0 for each in found.judges)


def test_a_version_does_not_differ_from_itself(tmp_path: Path) -> None:
    found = compare(tmp_path, PAIRS)
    assert not found.differs
    assert {each for each, number in found.pairs.items() if number} == {"kept"}
    assert not any(each.changed for each in found.figures.values())
    assert "Their rows are the same, in the same splits." in str(found)


def test_the_drift_of_each_judge_is_measured(tmp_path: Path) -> None:
    fields = PAIRS.schema["judgments"].inner.fields  # type: ignore[attr-defined]
    moved = REWARDED.list.eval(pl.struct(pl.element().struct.field(f.name) for f in fields))
    other = PAIRS.with_columns(moved.alias("judgments"))
    human, rm = compare(tmp_path, other).judges
    assert (human.judge, rm.judge) == ("human", "rm")
    assert (rm.preference.count, rm.preference.changed, rm.preference.mean) == (COUNT, COUNT, -0.5)
    assert (rm.flips, rm.lost, rm.gained) == (COUNT, 0, 0)
    assert (rm.rewards.count, rm.rewards.mean) == (2 * COUNT, 1.0)
    assert rm.rewards.quantiles["0"] == 0
    assert rm.rewards.quantiles["1"] == 2
    assert (human.preference.changed, human.flips, human.rewards.count) == (0, 0, 0)
    silent = PAIRS.with_columns(pl.col("judgments").list.head(1))
    human, rm = compare(tmp_path, silent).judges
    assert (human.lost, human.gained, human.preference.count) == (COUNT, 0, 0)
    assert (rm.lost, rm.preference.changed) == (0, 0)


@given(st.lists(st.lists(st.floats(-5, 5), max_size=6), max_size=4))
@settings(max_examples=20)
def test_changes_do_not_depend_on_how_they_are_cut(parts: list[list[float]]) -> None:
    cut, whole = Changes(), Changes()
    for part in parts:
        cut.add(pl.Series(part, dtype=pl.Float64))
    whole.add(pl.Series([each for part in parts for each in part], dtype=pl.Float64))
    assert cut.summarize() == whole.summarize()
    if sum(map(len, parts)):
        assert list(cut.summarize()["quantiles"]) == [f"{q:g}" for q in QUANTILES]


def test_drops_are_compared_by_reason_source_and_split(tmp_path: Path) -> None:
    manifest = read_manifest(str(publish(tmp_path, PAIRS)))
    (stage,) = manifest.stages

    def drop(train: int, test: int, source: str) -> Manifest:
        own = {
            "dropped": {"below_margin": train + test},
            "dropped_by_split": {"test": {"below_margin": test}, "train": {"below_margin": train}},
            "dropped_by_source": {source: {"below_margin": train + test}},
        }
        return manifest.model_copy(update={"stages": [stage.model_copy(update=own)]})

    found = list(compare_drops(drop(5, 1, "web"), drop(3, 2, "book")))
    assert [(d.source, d.split, d.a, d.b) for d in found] == [
        (None, None, 6, 5),
        ("book", None, 0, 5),
        ("web", None, 6, 0),
        (None, "test", 1, 2),
        (None, "train", 5, 3),
    ]
    assert {(d.where, d.reason) for d in found} == {("pair", "below_margin")}
    assert [row[2] for row in tabulate_drops(found).rows] == ["all", "book", "web", "test", "train"]
    same = list(compare_drops(drop(5, 1, "web"), drop(3, 2, "web")))
    assert [row[2] for row in tabulate_drops(same).rows] == ["all", "test", "train"]
    # The manifests that `publish` writes, as early ones, do not say of which split.
    (total,) = compare_drops(manifest, drop(5, 1, "web"))
    assert (total.source, total.split, total.a, total.b) == (None, None, 2, 6)


def test_versions_whose_messages_are_written_otherwise_are_compared(tmp_path: Path) -> None:
    thoughts = pl.when(AT == 3).then(pl.lit("Hm.")).otherwise("chosen_thoughts")
    found = compare(tmp_path, PAIRS.with_columns(chosen_thoughts=thoughts))
    assert {each: n for each, n in found.pairs.items() if n} == {"kept": COUNT, "texts": 1}
    assert found.named["texts"][0].pair_id == PAIRS["pair_id"][3]


@pytest.mark.parametrize("kind", ["llama_factory", "open_instruct"])
def test_other_forms_are_compared_too(kind: str, tmp_path: Path) -> None:
    publish(tmp_path / "a", PAIRS, kind=kind)
    publish(tmp_path / "b", CHANGES["texts"](PAIRS), kind=kind)
    found = report_difference(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (found.a.export, found.pairs["texts"], found.pairs["kept"]) == (kind, 7, COUNT)


def test_what_can_not_be_compared_is_refused(tmp_path: Path) -> None:
    version = publish(tmp_path / "a", PAIRS)
    publish(tmp_path / "b", PAIRS, kind="openai")
    with pytest.raises(ConfigError, match=r"no form in common .*: trl; openai"):
        report_difference(str(tmp_path / "a"), str(tmp_path / "b"))
    next((version / "trl").iterdir()).write_bytes(b"PAR1")
    with pytest.raises(TableError, match="damaged"):
        report_difference(str(tmp_path / "a"), str(tmp_path / "a"))


def test_stored_datasets_of_earlier_versions_are_compared() -> None:
    found = report_difference(
        str(STORED / "schema_2/data/dataset"), str(STORED / "schema_3/data/dataset")
    )
    assert (
        found.pairs["kept"] + found.pairs["flipped"] + found.pairs["removed"] == found.a.pairs == 5
    )
    assert found.judges
    assert found.made_otherwise == {}


def test_what_a_probe_learns_from_each_version_is_said(tmp_path: Path) -> None:
    publish(tmp_path, PAIRS)
    publish(tmp_path, CHANGES["removed"](PAIRS))
    found = report_difference(f"{tmp_path}@parent", str(tmp_path))
    assert "no probe" not in str(found)
    probe = Probe(figures=ProbeFigures.model_construct(**PROBE))
    learned = found.model_copy(update={"b": found.b.model_copy(update={"probe": probe})})
    said = str(learned)
    assert "A, no probe: the version was written before there was one" in said
    assert "B, probe: 61.0% of 200 held-out pairs right (54.0% to 68.0%), 60.0% by length" in said


def test_the_command_exits_as_git_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(tmp_path, PAIRS)
    publish(tmp_path, CHANGES["removed"](PAIRS))
    both = [f"{tmp_path}@parent", str(tmp_path)]
    assert main(["diff", *both, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["pairs"]["removed"], printed["a"]["given"]) == (7, both[0])
    assert main(["diff", *both, "--exit-code"]) == 1
    assert "in A alone" in capsys.readouterr().out
    assert main(["diff", both[0], both[0], "--exit-code"]) == 0
    assert main(["diff", both[0], str(tmp_path / "nowhere")]) == 2
