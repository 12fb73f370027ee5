"""The judge `human`: each annotator's own judgment of what they annotated."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges.panels import asking, build, candidates, hexid

from prefdata.errors import ConfigError
from prefdata.judges.base import Candidates
from prefdata.records import Judgment
from prefdata.records.base import polars_schema
from prefdata.records.prompt import Prompt

Said = tuple[str, str | None, dict[str, float]]
"""An annotator, their group, and what they said of which responses."""
PairJudgment = tuple[str | None, str | None, str, str]


def annotated(responses: list[str], said: list[Said], kind: str, salt: int = 0) -> Candidates:
    """The responses to one prompt with annotations; in a ranking 1 is the best."""
    given_ = candidates({"Why?": responses}, salt)
    ids = {text: hexid("source", salt, text) for text in responses}
    rows: list[dict[str, Any]] = []
    for annotator, group, values in said:
        parts = [values] if kind == "ranking" else [{text: v} for text, v in values.items()]
        rows += [
            {
                "annotator": annotator,
                "group": group,
                "kind": kind,
                "dimension": None,
                "responses": [ids[text] for text in part],
                "values": list(part.values()),
            }
            for part in parts
        ]
    schema = polars_schema(Prompt)
    brought = [{"response_id": ids[text], "text": text, "model": None} for text in responses]
    prompts = given_.prompts.with_columns(
        responses=pl.Series([brought], dtype=schema["responses"]),
        annotations=pl.Series([rows or None], dtype=schema["annotations"]),
    )
    return Candidates(prompts, given_.responses, given_.comparisons)


def judged(given_: Candidates, kind: str, **others: Any) -> list[dict[str, Any]]:
    judge = build("human", annotations=kind, **others)
    assert not judge.requirements()
    found = judge.judge_all(given_, asking())
    assert found.schema == polars_schema(Judgment)
    for row in found.to_dicts():
        Judgment(**row)
    return found.to_dicts()


def by_text(given_: Candidates, rows: list[dict[str, Any]]) -> dict[PairJudgment, Any]:
    """(annotator, group, response, other response) -> P(response ≻ other), or why there is none."""
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    found: dict[PairJudgment, Any] = {}
    for row in rows:
        a, b, p = text[row["response_a"]], text[row["response_b"]], row["preference"]
        whose = (row["annotator"], row["group"])
        keys = ((*whose, a, b), (*whose, b, a))
        assert not {*keys} & {*found}, "two rows of one annotator on one comparison"
        values = (row["unscored"].partition(":")[0],) * 2 if p is None else (p, 1 - p)
        found |= dict(zip(keys, values, strict=True))
    return found


def judgments(
    responses: list[str], said: list[Said], kind: str, **others: Any
) -> dict[PairJudgment, Any]:
    given_ = annotated(responses, said, kind)
    return by_text(given_, judged(given_, kind, **others))


def test_two_annotators_who_disagree_are_two_rows() -> None:
    said: list[Said] = [("ann", "young", {"x": 5, "y": 2}), ("bob", "old", {"x": 1, "y": 4})]
    given_ = annotated(["x", "y"], said, "rating")
    rows = judged(given_, "rating")
    assert by_text(given_, rows) == {
        ("ann", "young", "x", "y"): 1,
        ("ann", "young", "y", "x"): 0,
        ("bob", "old", "x", "y"): 0,
        ("bob", "old", "y", "x"): 1,
    }
    assert {row["annotator"]: {row["reward_a"], row["reward_b"]} for row in rows} == {
        "ann": {5.0, 2.0},
        "bob": {1.0, 4.0},
    }
    assert {row["dimension"] for row in rows} == {"helpfulness"}


@pytest.mark.parametrize(
    ("kind", "x", "y", "wanted"),
    [
        ("rating", 3, 3, 0.5),
        ("rating", -1.5, -1, 0),
        ("thumb", 1, 0, 1),
        ("thumb", 0, 1, 0),
        ("thumb", 1, 1, 0.5),
        ("thumb", 0, 0, 0.5),
        ("ranking", 1, 2, 1),
        ("ranking", 2, 1, 0),
        ("ranking", 1, 1, 0.5),
    ],
)
def test_the_order_of_two_annotations_is_the_judgment(
    kind: str, x: float, y: float, wanted: float
) -> None:
    given_ = annotated(["x", "y"], [("ann", None, {"x": x, "y": y})], kind)
    rows = judged(given_, kind)
    assert by_text(given_, rows)["ann", None, "x", "y"] == wanted
    assert (rows[0]["reward_a"] is None) == (kind == "ranking")


def test_who_annotated_one_of_the_two_has_said_nothing_of_them() -> None:
    said: list[Said] = [
        ("ann", "g", {"x": 5, "y": 2}),
        ("bob", "g", {"x": 1}),
        ("cy", "g", {"y": 1}),
    ]
    assert judgments(["x", "y", "z"], said, "rating") == {
        ("ann", "g", "x", "y"): 1,
        ("ann", "g", "y", "x"): 0,
        **{
            (None, None, one, other): "not_annotated"
            for one, other in (("x", "z"), ("z", "x"), ("y", "z"), ("z", "y"))
        },
    }


def test_a_prompt_without_annotations_is_unscored() -> None:
    for given_ in (candidates({"Why?": ["x", "y"]}), annotated(["x", "y"], [], "thumb")):
        (row,) = judged(given_, "thumb")
        assert (row["annotator"], row["preference"]) == (None, None)
        assert row["unscored"] == "not_annotated: nobody annotated both responses (thumb)"


def test_annotations_of_another_kind_do_not_count() -> None:
    said: list[Said] = [("ann", None, {"x": 1, "y": 0})]
    (row,) = judged(annotated(["x", "y"], said, "thumb"), "rating")
    assert row["unscored"].startswith("not_annotated")


def test_only_those_who_are_named_count() -> None:
    said: list[Said] = [
        ("ann", "young", {"x": 1, "y": 0}),
        ("bob", "old", {"x": 0, "y": 1}),
        ("cy", None, {"x": 0, "y": 1}),
    ]

    def heard(**named: list[str]) -> set[str | None]:
        return {key[0] for key in judgments(["x", "y"], said, "rating", **named)}

    assert heard() == {"ann", "bob", "cy"}
    assert heard(groups=["old"]) == {"bob"}
    assert heard(annotators=["ann", "cy"]) == {"ann", "cy"}
    assert heard(annotators=["ann"], groups=["old"]) == {None}


def test_ranks_of_different_rankings_are_not_compared() -> None:
    said: list[Said] = [("ann", "g", {"x": 2, "y": 1}), ("ann", "g", {"z": 1, "y": 2})]
    found = judgments(["x", "y", "z"], said, "ranking")
    assert found["ann", "g", "y", "x"] == found["ann", "g", "z", "y"] == 1
    assert found[None, None, "x", "z"] == "not_annotated"


def test_rankings_that_contradict_each_other_are_unscored() -> None:
    said: list[Said] = [("ann", "g", {"x": 1, "y": 2, "z": 3}), ("ann", "g", {"y": 1, "x": 2})]
    found = judgments(["x", "y", "z"], said, "ranking")
    assert found["ann", "g", "x", "y"] == "contradictory"
    assert found["ann", "g", "y", "z"] == 1


def test_a_sample_that_says_the_same_is_the_same_response() -> None:
    given_ = annotated(["x", "y"], [("ann", None, {"x": 1, "y": 0})], "thumb")
    ids = {row["response_id"] for row in given_.prompts["responses"][0].to_list()}
    assert not ids & {*given_.responses["response_id"]}
    assert by_text(given_, judged(given_, "thumb"))["ann", None, "x", "y"] == 1


names = st.sampled_from(["ann", "bob", "cy", "di"])
worlds = st.lists(
    st.tuples(
        names,
        st.sampled_from([None, "young", "old"]),
        st.dictionaries(st.sampled_from("xyz"), st.integers(1, 3).map(float), min_size=1),
    ),
    max_size=5,
    unique_by=lambda one: one[:2],
)


@settings(max_examples=40)
@given(worlds, st.sampled_from(["rating", "ranking", "thumb"]), st.integers(1, 99), st.randoms())
def test_neither_ids_nor_orders_nor_names_change_a_judgment(
    said: list[Said], kind: str, salt: int, order: Any
) -> None:
    def renamed(text: str | None) -> str | None:
        return None if text is None else hashlib.sha256(f"{salt} {text}".encode()).hexdigest()

    plain = annotated(list("xyz"), said, kind)
    wanted = by_text(plain, judged(plain, kind))
    mixed = [(str(renamed(who)), renamed(group), values) for who, group, values in said]
    order.shuffle(mixed)
    other = annotated(list("zyx"), mixed, kind, salt)
    found = by_text(other, judged(other, kind))
    assert found == {(renamed(k[0]), renamed(k[1]), *k[2:]): v for k, v in wanted.items()}
    compared = {frozenset(key[2:]) for key in found}
    assert compared == {frozenset(pair) for pair in ("xy", "xz", "yz")}
    heard = [(who, group, tuple(values)) for who, group, values in said if len(values) > 1]
    assert {k[:2] for k in wanted} - {(None, None)} == {(who, group) for who, group, _ in heard}


def test_real_responses_keep_the_order_people_gave_them(root: Path) -> None:
    """OpenAssistant's ranked replies, hostile to tables or not, as rankings of two."""
    with gzip.open(root / "demo" / "data" / "preferences.jsonl.gz") as file:
        rows = [orjson.loads(line) for line in file][:200]
    for row in rows:
        chosen, rejected = (row[side][0]["content"] for side in ("chosen", "rejected"))
        said: list[Said] = [("oasst", None, {chosen: 1.0, rejected: 2.0})]
        assert judgments([chosen, rejected], said, "ranking")["oasst", None, chosen, rejected] == 1


def test_the_kind_of_annotation_has_to_be_named() -> None:
    both = {"annotations": "thumb", "judgments": "people.jsonl"}
    for settings_ in ({}, {"annotations": "stars"}, {"annotations": "thumb", "groups": []}, both):
        with pytest.raises(ConfigError, match=r"judge\.judges\.0"):
            build("human", **settings_)


@pytest.mark.parametrize("strengths", [True, False])
def test_a_strength_is_how_sure_and_what_was_written_is_the_trace(strengths: bool) -> None:
    given_ = annotated(["x", "y", "z"], [("ann", None, {"x": 1, "y": 2, "z": 3})], "ranking")
    prompt = given_.prompts.to_dicts()[0]
    more = {"strength": 0.5, "justification": "Short.", "justifications": ["Good.", "Long.", None]}
    prompt["annotations"] = [{**prompt["annotations"][0], **more}]
    prompts = pl.DataFrame([prompt], schema=given_.prompts.schema)
    given_ = Candidates(prompts, given_.responses, given_.comparisons)
    rows = judged(given_, "ranking", strengths=strengths)
    found = {whose[2:]: p for whose, p in by_text(given_, rows).items()}
    # The strength is that of the best response, not of the others among themselves.
    best = 0.75 if strengths else 1
    assert (found["x", "y"], found["x", "z"], found["y", "z"]) == (best, best, 1)
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    for row in rows:
        reasons = {"x": "Good.", "y": "Long.", "z": None}
        a, b = (reasons[text[row[side]]] for side in ("response_a", "response_b"))
        parts = ["Short.", *(f"[{n}]\n{said}" for n, said in (("a", a), ("b", b)) if said)]
        assert row["trace"] == "\n\n".join(parts)


def test_a_comment_on_one_response_stands_under_its_heading() -> None:
    given_ = annotated(["x", "y"], [("ann", None, {"x": 1, "y": 0})], "thumb")
    prompt = given_.prompts.to_dicts()[0]
    for row, said in zip(prompt["annotations"], ("Good.", "Bad."), strict=True):
        row["justification"] = said
    prompts = pl.DataFrame([prompt], schema=given_.prompts.schema)
    (row,) = judged(Candidates(prompts, given_.responses, given_.comparisons), "thumb")
    text = dict(given_.responses.select("response_id", "text").iter_rows())
    first = "Good." if text[row["response_a"]] == "x" else "Bad."
    other = "Bad." if first == "Good." else "Good."
    assert row["trace"] == f"[a]\n{first}\n\n[b]\n{other}"


def write_people(path: Path, given_: Candidates, said: list[tuple[str, str, float]]) -> str:
    """(annotator, group, P(a ≻ b)) of the first comparison."""
    key = given_.comparisons.row(0, named=True)
    rows = [{**key, "annotator": who, "group": group, "preference": p} for who, group, p in said]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def test_judgments_of_a_file_are_one_row_per_annotator(tmp_path: Path) -> None:
    given_ = candidates({"Why?": ["x", "y", "z"]})
    said = [("ann", "young", 1.0), ("bob", "old", 0.5), ("cy", "old", 0.0), ("cy", "old", 1.0)]
    path = write_people(tmp_path / "people.jsonl", given_, said)

    def judge(**others: Any) -> dict[str | None, Any]:
        found = build("human", judgments=path, **others).judge_all(given_, asking())
        assert found.schema == polars_schema(Judgment)
        assert found.filter(pl.col("annotator").is_null()).height == 2
        rows = found.drop_nulls("annotator").to_dicts()
        return {r["annotator"]: r["unscored"] or r["preference"] for r in rows}

    everyone = judge()
    assert everyone.pop("cy").startswith("contradictory: ")
    assert everyone == {"ann": 1.0, "bob": 0.5}
    assert judge(groups=["young"]) == judge(annotators=["ann"]) == {"ann": 1.0}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("{", "row 1"),
        ('{"prompt_id": "1", "response_a": "a"}', "response_b"),
        ('{"prompt_id": "1", "response_a": "b", "response_b": "a", "annotator": "x", '
         '"preference": 1}', "must come before"),
        ('{"prompt_id": "1", "response_a": "a", "response_b": "b", "annotator": "x", '
         '"preference": 2}', "preference"),
        (None, "can't be opened"),
    ],
)  # fmt: skip
def test_a_file_of_other_rows_is_refused(tmp_path: Path, line: str | None, found: str) -> None:
    path = tmp_path / "people.jsonl"
    if line is not None:
        path.write_text(line)
    with pytest.raises(ConfigError, match=found) as error:
        build("human", judgments=str(path))
    assert "judge.judges.0.judgments" in str(error.value)
