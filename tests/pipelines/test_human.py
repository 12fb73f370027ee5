"""People's labels from the source's rows to the dataset: kept apart, and nothing lost."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.config import Params, load_params
from prefdata.errors import ConfigError
from prefdata.pipelines.check import check_labels
from prefdata.pipelines.stages import top_up
from prefdata.pipelines.stages.registry import STAGES
from prefdata.pipelines.stats import Stats
from prefdata.reports import audit

SOURCES = {"ratings.jsonl": "rating", "rankings.jsonl": "ranking", "thumbs.jsonl": "thumb"}
TASTE = {"ann": 1, "bob": 1, "cy": -1}
GROUP = {"ann": "short", "bob": "short", "cy": "long"}


def written(root: Path, folder: Path) -> None:
    """Real questions with up to four real responses each, rated by three annotators in two groups
    (by length, the groups in opposite ways on every other question), ranked by one, and given
    thumbs by another."""
    responses: dict[bytes, dict[str, None]] = {}
    with gzip.open(root / "demo" / "data" / "preferences.jsonl.gz") as file:
        for line in file:
            row = orjson.loads(line)
            texts = responses.setdefault(orjson.dumps(row["prompt"]), {})
            texts |= {row[side][0]["content"]: None for side in ("chosen", "rejected")}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SOURCES}
    for number, (prompt, found) in enumerate(itertools.islice(responses.items(), 40)):
        base, texts = {"messages": orjson.loads(prompt)}, list(found)[:4]
        for who, taste in TASTE.items():
            sign = -taste if number % 2 else -1
            rows["ratings.jsonl"] += [
                {**base, "response": t, "annotator": who, "group": GROUP[who],
                 "rating": sign * len(t)}
                for t in texts
            ]  # fmt: skip
        ranks = [sorted(texts).index(text) for text in texts]
        rows["rankings.jsonl"].append(
            {**base, "responses": texts, "ranking": ranks, "annotator": "di", "model": "people"}
        )
        rows["thumbs.jsonl"] += [
            {**base, "response": t, "annotator": "user-1", "thumb": "?" in t} for t in texts
        ]
    for name, some in rows.items():
        (folder / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in some))


def people(folder: Path, **changes: Any) -> Params:
    sources = [
        {"path": str(folder / name), "labels": {"kind": kind}} for name, kind in SOURCES.items()
    ]
    given: dict[str, Any] = {
        "models": {},
        "ingest": {"sources": sources, "max_faulty_fraction": 1},
        "generate": {"n": 0},
        "judge": {
            "judges": [
                {"kind": "people", "name": f"by_{k}", "labels": k} for k in SOURCES.values()
            ],
            "consensus": {"kind": "groups", "groups": ["short", "long"]},
        },
        "score": None,
        "pair": {"strategy": {"kind": "all_above_margin"}},
        "filter": None,
        **changes,
    }
    return load_params(flows.write_params(folder, **given))


def run(params: Params, *stages: str) -> dict[str, Stats]:
    names = stages or tuple(s for s in STAGES if s not in ("reward-head", "score"))
    return {name: STAGES[name](params, [], True) for name in names}


def read(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "data" / table / "*.parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Stats]]:
    folder = tmp_path_factory.mktemp("people")
    written(Path(__file__).resolve().parents[2], folder)
    return folder, run(people(folder))


def test_every_row_is_a_label_of_its_prompt(whole: tuple[Path, dict[str, Stats]]) -> None:
    folder, stats = whole
    lines = sum((folder / name).read_bytes().count(b"\n") for name in SOURCES)
    prompts = read(folder, "prompts")
    assert stats["ingest"].rows_in == stats["ingest"].rows_out == lines
    assert int(prompts["labels"].list.len().sum()) == lines
    assert prompts.height == stats["ingest"].rows_written == 40
    responses = read(folder, "responses")
    assert responses.height == int(prompts["responses"].list.len().sum())
    assert set(responses["model"]) == {"people"}
    assert responses["sample_index"].null_count() == responses.height


def test_annotators_are_apart_from_the_judgments_to_the_dataset(
    whole: tuple[Path, dict[str, Stats]],
) -> None:
    folder, stats = whole
    said = read(folder, "judgments").filter(pl.col("judge") == "by_rating")
    compared = stats["judge"].rows_in - stats["judge"].rejected.get("identical_responses", 0)
    assert said.height == 3 * compared
    assert set(said.select("annotator", "group").iter_rows()) == set(GROUP.items())
    assert stats["judge"].rejected["groups_disagree"] > 20
    assert stats["judge"].faults == 0
    rows = pl.read_parquet(folder / "data" / "dataset" / "data" / "*.parquet")
    assert rows.height > 20
    texts = dict(read(folder, "responses").select("response_id", "text").iter_rows())
    ids = read(folder, "pairs").select("pair_id", "chosen_id", "rejected_id")
    sides = {pair: (texts[c], texts[r]) for pair, c, r in ids.iter_rows()}
    for row in rows.to_dicts():
        chosen, rejected = sides[row["pair_id"]]
        assert len(chosen) < len(rejected)
        judgments = {(o["judge"], o["annotator"]): o for o in row["judgments"]}
        assert len(judgments) == len(row["judgments"]) == 5
        for who, group in GROUP.items():
            own = judgments["by_rating", who]
            assert (own["group"], own["preference"]) == (group, 1.0)
            assert (own["reward_chosen"], own["reward_rejected"]) == (-len(chosen), -len(rejected))
        assert judgments["by_ranking", "di"]["preference"] == float(chosen < rejected)
        thumbs = judgments["by_thumb", "user-1"]
        assert thumbs["preference"] == 0.5 + (("?" in chosen) - ("?" in rejected)) / 2


def test_a_dataset_of_one_group_holds_what_that_group_prefers(
    whole: tuple[Path, dict[str, Stats]], tmp_path: Path
) -> None:
    """The torn comparisons too, in which the two groups choose opposite responses."""
    folder, stats = whole
    chosen = {}
    for group in ("short", "long"):
        judge = {"kind": "people", "labels": "rating", "groups": [group]}
        params = people(folder, judge={"judges": [judge], "consensus": {"kind": "mean"}})
        params = params.model_copy(update={"data": str(tmp_path / group / "data")})
        run(params)
        pairs = read(tmp_path / group, "pairs")
        chosen[group] = {
            frozenset(row): row[0] for row in pairs[["chosen_id", "rejected_id"]].rows()
        }
    assert chosen["short"].keys() == chosen["long"].keys()
    torn = sum(chosen["short"][pair] != chosen["long"][pair] for pair in chosen["short"])
    assert torn == stats["judge"].rejected["groups_disagree"]


def test_buckets_and_the_order_of_rows_change_no_pair(
    whole: tuple[Path, dict[str, Stats]], tmp_path: Path
) -> None:
    folder, _ = whole
    for name in SOURCES:
        lines = (folder / name).read_bytes().splitlines(keepends=True)
        (tmp_path / name).write_bytes(b"".join(reversed(lines)))
    run(people(tmp_path, buckets=4))
    for table in ("responses", "judgments", "pairs", "augmented"):
        keys = [c for c in read(folder, table).columns if c != "judgments"]
        one, other = (
            read(place, table).drop("model", strict=False) for place in (folder, tmp_path)
        )
        keys = [c for c in keys if c != "model"]
        assert one.sort(keys).equals(other.sort(keys))


def test_the_same_rows_give_the_same_bytes(
    whole: tuple[Path, dict[str, Stats]], tmp_path: Path
) -> None:
    folder, _ = whole
    params = people(folder).model_copy(update={"data": str(tmp_path / "data")})
    run(params)
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.glob("data/*/**/*.parquet"))
    assert len(files) > 10
    assert all((folder / f).read_bytes() == (tmp_path / f).read_bytes() for f in files)


def test_the_audit_keeps_annotators_apart(whole: tuple[Path, dict[str, Stats]]) -> None:
    folder, _ = whole
    report, shown = audit.run(people(folder), "by_ranking", None, None)
    pairs = {(p["annotator"], p["other"]): p for p in report["judges"]["by_rating"]["annotators"]}
    assert set(pairs) == {("ann", "bob"), ("ann", "cy"), ("bob", "cy")}
    alike, torn = pairs["ann", "bob"], pairs["ann", "cy"]
    assert (alike["agree"], alike["kappa"], alike["tau"]) == (1.0, 1.0, 1.0)
    assert torn["comparisons"] == alike["comparisons"]
    assert 0.3 < torn["agree"] < 0.7
    assert abs(torn["tau"]) < 0.3
    assert (torn["group"], torn["other_group"]) == ("short", "long")
    assert report["judges"]["by_ranking"]["labels"]["agree"] == 1.0
    both = report["judges"]["by_rating"]["agreement"]["by_ranking"]["comparisons"]
    assert both == 3 * alike["comparisons"]
    assert "ann        cy" in shown


def test_samples_stand_beside_the_answers_that_were_brought(
    whole: tuple[Path, dict[str, Stats]], tmp_path: Path
) -> None:
    folder, _ = whole
    params = people(
        folder,
        models={"policy": {"engine": "scripted", "model": "policy"}},
        generate={"n": 2},
        judge={
            "judges": [
                {"kind": "people", "labels": "rating"},
                {"kind": "pairwise", "model": "policy"},
            ],
            "consensus": {"kind": "mean"},
        },
    )
    params = params.model_copy(update={"data": str(tmp_path / "data")})
    stats = run(params, "ingest", "generate", "judge")
    responses = read(tmp_path, "responses")
    brought = responses.filter(pl.col("sample_index").is_null())
    assert responses.height - brought.height == 80
    assert stats["generate"].rows_in == responses.height
    said = read(tmp_path, "judgments").filter(pl.col("judge") == "people")
    silent = said.filter(pl.col("unscored").is_not_null())
    labelled = brought.select("response_id").to_series().implode()
    sides = pl.col("response_a").is_in(labelled) & pl.col("response_b").is_in(labelled)
    assert silent.height == silent.filter(~sides).height > 0
    assert said.filter(sides)["annotator"].null_count() == 0
    assert stats["judge"].faults == 0


def test_an_answer_that_was_brought_is_no_sample(
    whole: tuple[Path, dict[str, Stats]], tmp_path: Path
) -> None:
    """Else prompts with four of them could not be topped up to max_n."""
    folder, _ = whole
    judge = {"kind": "people", "labels": "thumb", "annotators": ["nobody"]}
    params = people(
        folder,
        models={"policy": {"engine": "scripted", "model": "policy"}},
        generate={"n": 2, "accepted_per_prompt": 1, "max_n": 4},
        judge={"judges": [judge], "consensus": {"kind": "mean"}},
        pair={"strategy": {"kind": "best_worst"}},
    )
    params = params.model_copy(update={"data": str(tmp_path / "data")})
    run(params, "ingest", "generate", "judge", "pair", "augment", "filter")
    found = top_up.run_stage(params, [], True)
    assert (found.pairs, found.wanted, found.drawn, found.samples) == (0, 40, 40, 80)


def test_no_sample_can_make_up_for_pairs_that_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="n: 0 draws no samples"):
        people(tmp_path, generate={"n": 0, "target_pairs": 5})


def test_what_would_wait_in_vain_for_labels_is_refused(tmp_path: Path) -> None:
    ratings = {"sources": [{"path": "r.jsonl", "labels": {"kind": "rating"}}]}
    check_labels(people(tmp_path))
    with pytest.raises(ConfigError, match=r"judges\.1: by_ranking hears .* kind ranking"):
        check_labels(people(tmp_path, ingest=ratings))
    plain = {"ingest": {"sources": [{"path": "p.jsonl"}]}}
    judge = {"judges": [{"kind": "constraints"}], "consensus": {"kind": "mean"}}
    with pytest.raises(ConfigError, match="no source brings responses"):
        check_labels(people(tmp_path, judge=judge, **plain))
    check_labels(people(tmp_path, judge=judge, generate={"n": 2}, **plain))


def test_labels_are_read_from_parquet(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Why?", "response": r, "annotator": w, "group": None, "rating": n}
        for n, (r, w) in enumerate(itertools.product("xy", ("ann", "bob")))
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "ratings.parquet")
    source = {"path": str(tmp_path / "ratings.parquet"), "labels": {"kind": "rating"}}
    params = people(tmp_path, ingest={"sources": [source]})
    stats = run(params, "ingest", "generate")
    assert (stats["ingest"].rows_out, stats["generate"].rows_out) == (4, 2)


def test_the_recipe_runs(whole: tuple[Path, dict[str, Stats]], root: Path, tmp_path: Path) -> None:
    folder, _ = whole
    params = load_params(
        root / "recipes" / "people.yaml",
        [f"ingest.sources.0.path={folder}/ratings.jsonl", f"data={tmp_path}/data"],
    )
    stats = run(params)
    assert stats["export"].rows_out > 20
    assert stats["judge"].rejected["groups_disagree"] > 20
