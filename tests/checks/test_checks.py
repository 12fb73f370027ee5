"""Each defect of a dataset is found with its count, in every form, and none where there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from blocks import DOCS, ROOT
from checks.made import Row, check, count_findings, make_pairs, put

from prefdata.checks.consumers import describe_fate
from prefdata.checks.read import read_dataset
from prefdata.consumers.registry import CONSUMERS
from prefdata.errors import ConfigError, SourceError


def speak(row: Row) -> Row:
    """As conversations with an explicit prompt."""
    said = {side: [{"role": "assistant", "content": row[side]}] for side in ("chosen", "rejected")}
    return {**row, "prompt": [{"role": "user", "content": row["prompt"]}], **said}


def join(row: Row) -> Row:
    """As whole conversations."""
    spoken = speak(row)
    prompt = spoken.pop("prompt")
    return {**spoken, "chosen": prompt + spoken["chosen"], "rejected": prompt + spoken["rejected"]}


def transcribe(row: Row) -> Row:
    sides = ("chosen", "rejected")
    prompt = f"\n\nHuman: {row['prompt']}\n\nAssistant: "
    return {
        **{k: v for k, v in row.items() if k != "prompt"},
        **{s: prompt + row[s] for s in sides},
    }


def serve(row: Row) -> Row:
    spoken = speak(row)
    return {
        "input": {"messages": spoken["prompt"]},
        "preferred_output": spoken["chosen"],
        "non_preferred_output": spoken["rejected"],
    }


def place_beside(row: Row) -> Row:
    spoken = speak(row)
    one, other = spoken["chosen"][0], spoken["rejected"][0]
    return {"conversations": spoken["prompt"], "chosen": one, "rejected": other}


FORMS: dict[str, Callable[[Row], Row]] = {
    "texts": lambda row: row,
    "messages": speak,
    "whole conversations": join,
    "transcripts": transcribe,
    "openai": serve,
    "messages beside": place_beside,
}


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_found_where_there_is_nothing(form: str, tmp_path: Path) -> None:
    _, found = check(put(tmp_path, [FORMS[form](row) for row in make_pairs(40)]))
    assert count_findings(found) == {}
    assert found.unknown == []
    assert [each.name for each in found.measures] == ["length"]
    assert found.measures[0].values["longer_chosen"] == 0.5


def spoil(rows: list[Row]) -> list[Row]:
    """The rows with one to three of each defect."""
    rows[0]["rejected"] = rows[0]["chosen"]
    rows[1]["chosen"] = " "
    rows[2]["rejected"] = ""
    turned = {**rows[3], "chosen": rows[3]["rejected"], "rejected": rows[3]["chosen"]}
    rows[5]["chosen"] = f"<think>\nWhy?\n</think>\n\n{rows[5]['chosen']}"
    rows[6]["rejected"] = f"<think>\nSo {'and so ' * 5}on"
    rows[7]["chosen"] = "I'm sorry, but I cannot help with that request."
    rows[8]["prompt"] += " Really\u202eyllaeR."
    near = {**rows[9], "prompt": rows[9]["prompt"].replace("1 sentences", "1 sentence or 2 each")}
    rows[9]["prompt"] = near["prompt"].replace("each", "both")
    rows[10]["rejected"] = f"It is long, {'and long ' * 30}and then it just"
    return [*rows, turned, rows[4], near]


DEFECTS = {
    "identical": 1,
    "empty": 2,
    "contradiction": 2,
    "duplicate": 1,
    "repeated_prompt": 2,
    "unequal_thoughts": 2,
    "unended_thoughts": 1,
    "refusal_chosen": 1,
    "unseen_characters": 1,
    "near_duplicate": 1,
    "truncated_rejected": 1,
}


@pytest.mark.parametrize("form", FORMS)
def test_each_defect_is_found_with_its_count(form: str, tmp_path: Path) -> None:
    rows = spoil(make_pairs(12))
    _, found = check(put(tmp_path, [FORMS[form](row) for row in rows]))
    kinds = set(CONSUMERS.parts)
    contents = {
        name: count
        for name, count in count_findings(found).items()
        if not any(name.startswith(kind) for kind in kinds)
    }
    assert contents == DEFECTS
    of = {each.check: [e.place for e in each.examples] for each in found.findings}
    assert of["identical"] == ["row 1"]
    assert of["contradiction"] == ["row 4", "row 13"]
    assert of["duplicate"] == ["row 14"]
    grave = {each.check for each in found.findings if each.severity == "error"}
    assert grave >= {"identical", "empty", "contradiction"}
    assert [each.severity for each in found.findings] == sorted(
        (each.severity for each in found.findings), key=["error", "warning", "note"].index
    )


def test_scores_and_margins_that_contradict_the_order(tmp_path: Path) -> None:
    scores = [(2.0, 1.0), (1.0, 2.0), (1.5, 1.5), (3, 1)]
    rows = [
        {**row, "score_chosen": one, "score_rejected": other, "margin": one - other}
        for row, (one, other) in zip(make_pairs(4), scores, strict=True)
    ]
    rows[3]["margin"] = None
    outlooks, found = check(put(tmp_path, rows))
    counts = count_findings(found)
    assert (counts["score_order"], counts["score_tie"], counts["null_margin"]) == (1, 1, 1)
    (reward,) = [each for each in outlooks if each.consumer.kind == "trl_reward"]
    assert counts["trl_reward_crashes"] == 1
    assert "stops at 1 of 4 rows: margin is null: TypeError" in reward.describe()
    assert "takes 3 of 4 rows: a column margin is read as the loss's margin" in reward.describe()


def test_values_of_several_types_in_a_column(tmp_path: Path) -> None:
    rows: list[Row] = [*make_pairs(3), speak(make_pairs(4)[3])]
    _, found = check(put(tmp_path, rows))
    mixed = [each for each in found.findings if each.check == "mixed_types"]
    assert [(each.count, each.of) for each in mixed] == [(1, 4)] * 3
    assert "the column prompt holds text in 3, list in 1 rows" in [each.what for each in mixed]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with two splits that share a prompt and nearly share another."""
    folder = tmp_path_factory.mktemp("split")
    rows = make_pairs(14)
    near = {
        **rows[1],
        "prompt": f"Please now {rows[1]['prompt']} Take your time and be very clear.",
    }
    rows[1]["prompt"] = near["prompt"].replace("very", "quite")
    for name, own in (("train", rows[:10]), ("test", [*rows[10:], rows[0], near])):
        put(folder, own, f"{name}.jsonl")
    return str(folder)


def test_prompts_that_stand_in_two_splits(split: str) -> None:
    read = read_dataset(split)
    assert read.rows == {"train": 10, "test": 6}
    _, found = check(split)
    counts = count_findings(found)
    assert (counts["leak"], counts["near_leak"], counts["near_duplicate"]) == (1, 1, 1)
    (leak,) = [each for each in found.findings if each.check == "leak"]
    assert (leak.severity, leak.of) == ("error", 15)
    assert leak.examples[0] == ("train, row 1", "and in test, row 5")
    assert read_dataset(split, split="test").rows == {"test": 6}
    with pytest.raises(SourceError, match="no split 'dev'; it has: train, test"):
        read_dataset(split, split="dev")


def test_longer_responses_that_win(tmp_path: Path) -> None:
    rows = [
        {**row, "chosen": row["chosen"] + " And so on it goes." * (n % 5 > 0)}
        for n, row in enumerate(make_pairs(50))
    ]
    _, found = check(put(tmp_path, rows))
    (length,) = [each for each in found.findings if each.check == "length"]
    longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in rows)
    assert (length.count, length.severity) == (longer, "warning")
    values = found.measures[0].values
    assert values["low"] < values["log_odds_per_doubling"] < values["high"]
    assert values["low"] > 0


def test_texts_of_a_benchmark_are_named_with_the_words_they_share(tmp_path: Path) -> None:
    rows = make_pairs(3)
    words = "seven swift foxes jumped over nine lazy dogs while the moon was rising slowly"
    rows[1]["rejected"] += f" {words}!"
    (tmp_path / "bench.txt").write_text(f"In the tale {words}.\n")
    _, found = check(put(tmp_path, rows), benchmarks=[str(tmp_path / "bench.txt")])
    assert count_findings(found) == {"contaminated_rejected": 1}
    (example,) = found.findings[0].examples
    assert example.place == "row 2"
    assert "seven swift foxes" in example.what
    with pytest.raises(ConfigError, match=r"none\.txt"):
        check(put(tmp_path, rows), benchmarks=[str(tmp_path / "none.txt")])


def test_responses_in_another_language_than_their_prompt(tmp_path: Path) -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    rows = make_pairs(6)
    rows[4]["rejected"] = "Das weiß ich leider nicht, aber morgen fragen wir den Nachbarn danach."
    _, found = check(put(tmp_path, rows))
    assert count_findings(found) == {"other_language_rejected": 1}


def test_responses_without_a_rival(tmp_path: Path) -> None:
    rows = [
        {"prompt": row["prompt"], "completion": row["chosen"], "label": n % 2 == 0}
        for n, row in enumerate(make_pairs(6))
    ]
    _, found = check(put(tmp_path, [*rows, {**rows[0], "label": False}]))
    assert count_findings(found) == {"contradiction": 2, "repeated_prompt": 1}


def test_annotators_that_agree_on_half(tmp_path: Path) -> None:
    rows = [
        {
            "domain": "general",
            "language": "english",
            "context": [{"role": "user", "content": row["prompt"]}],
            "response1": row["chosen"],
            "response2": row["rejected"],
            "overall_preference": -2,
            "individual_preference": [
                {"score": score, "reasoning": "", "feedback1": "", "feedback2": ""}
                for score in (-2, -2 if n % 2 else 2)
            ],
        }
        for n, row in enumerate(make_pairs(4))
    ]
    _, found = check(put(tmp_path, rows))
    (measure,) = [each for each in found.measures if each.name == "annotators"]
    assert measure.values["comparisons"] == 4
    assert measure.values["agree"] == 0.5


def test_consumers_say_what_becomes_of_all_rows(tmp_path: Path) -> None:
    long = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    rows = [join(row) for row in make_pairs(4)]
    for row in rows[:2]:
        row.update({side: long + row[side] for side in ("chosen", "rejected")})
    path = put(tmp_path, rows)
    outlooks, found = check(path)
    said = {each.consumer.kind: each.describe() for each in outlooks}
    assert said["trl_dpo"] == "takes all 4 rows as implicit prompt"
    assert said["llama_factory"].startswith("drops all 4 rows: chosen is a list of messages")
    # Two conversations of four turns lose two a side, of 24 turns in all.
    (ultra,) = [each for each in outlooks if each.consumer.kind == "axolotl_ultra"]
    (cut,) = ultra.fates
    assert (cut.count, cut.lost, cut.turns) == (2, 8, 16)
    assert describe_fate(cut, 4).startswith("cuts 50% of the turns of 2 of 4 rows")
    assert outlooks[0].taken == 4
    assert count_findings(found) == {"axolotl_ultra_cuts": 2}
    _, named = check(path, consumers=["llama_factory", "trl_dpo"])
    grave = {each.check for each in named.findings if each.severity == "error"}
    assert grave == {"llama_factory_drops"}
    with pytest.raises(ConfigError, match="did you mean 'trl_dpo'"):
        check(path, consumers=["trl_dp"])


@pytest.mark.parametrize("rows", [[], [{"question": "Hi", "best": "a"}], [{"a": 1}, {"b": 2}]])
def test_a_form_that_no_importer_reads_is_still_told_of(rows: list[Row], tmp_path: Path) -> None:
    outlooks, found = check(put(tmp_path, rows))
    assert [(each.check, each.severity) for each in found.findings] == [("unread", "warning")]
    assert len(outlooks) == len(CONSUMERS.parts)
    assert all(each.rows == len(rows) for each in outlooks)


def test_broken_lines_are_errors_and_the_others_go_on(tmp_path: Path) -> None:
    path = put(tmp_path, make_pairs(3))
    with open(path, "ab") as file:
        file.write(b'{"prompt": "Hi", \n[1]\n')
    _, found = check(path)
    assert {each.check: each.severity for each in found.findings} == {
        "invalid_json": "error",
        "not_an_object": "error",
    }


def test_parquet_and_jsonl_are_one(tmp_path: Path) -> None:
    rows = spoil(make_pairs(12))
    one = count_findings(check(put(tmp_path, rows))[1])
    pl.DataFrame(rows).write_parquet(tmp_path / "pairs.parquet")
    other: dict[str, Any] = count_findings(check(str(tmp_path / "pairs.parquet"))[1])
    assert json.dumps(one) == json.dumps(other)


def test_every_finding_of_the_page_is_one_of_the_code() -> None:
    page = (DOCS / "how-to" / "check_a_dataset.md").read_text(encoding="utf-8")
    table = page.partition("## What is found")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    codes = {code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell)}
    files = [*(ROOT / "prefdata/checks").glob("*.py"), *(ROOT / "prefdata/cli/check").glob("*.py")]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    # Some are of a side, such as truncated_chosen.
    stems = {code: re.sub(r"_(chosen|prompt)$", "_{", code) for code in codes}
    known = [code for code in codes if f'"{code}"' in source or f'"{stems[code]}' in source]
    assert len(known) > 20
    assert codes - set(known) == set()
