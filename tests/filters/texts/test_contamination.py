"""Contamination: the matched span and its file, against a plain search."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from filters.bucket import build, pairs, run_filter, texts

from prefdata.errors import ConfigError

LONG = "Natalia sold clips to 48 of her friends in April, and then she sold half as many in May."
SHORT = "What is the capital of the oldest republic?"


@pytest.fixture
def evaluation(tmp_path: Path) -> str:
    rows = [{"question": LONG, "id": "tiny text"}, {"question": SHORT, "answer": "yes"}]
    path = tmp_path / "evaluation.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def decided(responses: list[str], files: list[str], **config: Any) -> list[tuple[Any, Any]]:
    named = {f"a{n}": text for n, text in enumerate(responses)} | {"z": "Fine."}
    some = pairs(*((f"a{n}", "z", "p") for n in range(len(responses))))
    step = build("contamination", files=files, **config)
    return list(
        run_filter(step, [(some, texts(named))]).pairs.select("reason", "detail").iter_rows()
    )


def test_a_shared_run_goes_with_its_words(evaluation: str) -> None:
    text = "Here it is: NATALIA sold clips to 48 of her friends — in April; and then she left."
    ((reason, detail),) = decided([text], [evaluation])
    assert reason == "contaminated_chosen"
    span = "natalia sold clips to 48 of her friends in april and then"
    assert detail == f'13 words as in {evaluation}: "{span} she"'


def test_fewer_words_in_a_row_stay(evaluation: str) -> None:
    twelve = "Natalia sold clips to 48 of her friends in April and then"
    assert decided([twelve, f"{twelve} he", "", "?"], [evaluation]) == [(None, None)] * 4
    assert decided([twelve], [evaluation], n=12)[0][0] == "contaminated_chosen"


def test_a_short_evaluation_text_has_to_occur_run_filter(evaluation: str) -> None:
    whole_one = "So: what is the CAPITAL of the oldest republic, please?"
    part = "What is the capital of the oldest empire?"
    found = decided([whole_one, part, "tiny text", "yes"], [evaluation])
    assert [reason for reason, _ in found] == ["contaminated_chosen", None, None, None]
    span = "what is the capital of the oldest republic"
    assert found[0][1] == f'8 words as in {evaluation}: "{span}"'
    assert decided([whole_one], [evaluation], min_words=9) == [(None, None)]


def test_prompts_and_all_formats(evaluation: str, tmp_path: Path) -> None:
    rows = Path(evaluation).read_bytes()
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(rows))
    (tmp_path / "e.txt").write_text(f"first line\n{LONG}\n")
    pl.DataFrame({"turns": [[{"role": "user", "content": LONG}]]}).write_parquet(
        tmp_path / "e.parquet"
    )
    for name in ("e.jsonl.gz", "e.txt", "e.parquet"):
        step = build("contamination", files=[str(tmp_path / name)])
        bucket = (pairs(("a", "b", "p")), texts({"a": "x", "b": "y"}, {"p": f"Q: {LONG}"}))
        assert run_filter(step, [bucket]).pairs["reason"].to_list() == ["contaminated_prompt"]


def test_columns_say_what_is_read(evaluation: str) -> None:
    assert decided([LONG], [evaluation], columns=["question"])[0][0] is not None
    assert decided([LONG], [evaluation], columns=["answer"])[0][0] is None
    with pytest.raises(ConfigError, match="no text in it under nothing"):
        decided([LONG], [evaluation], columns=["nothing"])


def test_the_longest_match_and_the_first_file_are_named(evaluation: str, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(f"{LONG}\n")
    found = decided([f"{SHORT} {LONG}"], [str(other), evaluation])
    assert found[0][1].startswith(f'13 words as in {other}: "natalia sold')


def test_it_finds_what_a_plain_search_finds(tmp_path: Path) -> None:
    draw = random.Random(4)
    words = [f"w{n}" for n in range(3)]
    known = [" ".join(draw.choices(words, k=draw.randrange(2, 12))) for _ in range(8)]
    (tmp_path / "e.txt").write_text("\n".join(known))
    responses = [" ".join(draw.choices(words, k=draw.randrange(0, 25))) for _ in range(120)]
    n, least = 6, 3
    runs = {
        " ".join(ws[i : i + n])
        for k in known
        if len(ws := k.split()) >= n
        for i in range(len(ws) - n + 1)
    } | {k for k in known if least <= len(k.split()) < n}
    found = decided(responses, [str(tmp_path / "e.txt")], n=n, min_words=least)
    for response, (reason, detail) in zip(responses, found, strict=True):
        hits = [r for r in runs if f" {r} " in f" {response} "]
        assert (reason is not None) == bool(hits)
        if hits:
            span = detail.split('"')[1]
            assert span in hits
            assert len(span.split()) == max(len(h.split()) for h in hits)
    assert 10 < sum(reason is not None for reason, _ in found) < 110


def test_a_missing_or_broken_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be opened"):
        build("contamination", files=[str(tmp_path / "none.jsonl")])
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{not json")
    with pytest.raises(ConfigError, match="invalid_json"):
        decided(["x y z"], [str(broken)])
