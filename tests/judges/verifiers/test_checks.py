"""What the verifiers of words, patterns, JSON and constraints let pass, and what they say."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges.panels import build
from judges.verifying import rewards

from prefdata.errors import ConfigError
from prefdata.text import languages

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0}},
    "required": ["age"],
}


def reward(
    kind: str, response: str, ground_truth: str | None = None, **settings_: Any
) -> float | None:
    (found,) = rewards(kind, [response], ground_truth, **settings_).values()
    return found[0]


def reason(kind: str, response: str, ground_truth: str | None = None, **settings_: Any) -> str:
    (found,) = rewards(kind, [response], ground_truth, **settings_).values()
    return found[1]


@pytest.mark.parametrize(
    ("response", "ground_truth", "settings_", "wanted"),
    [
        ("Paris.", "paris", {}, 1.0),
        ("In Paris.", "paris", {}, 0.0),
        ("New-York", "new york", {}, 1.0),
        ("Paris.", "paris", {"ignore_case": False}, 0.0),
        ("paris.", "paris", {"ignore_punctuation": False}, 0.0),
        ("!?", "?!", {}, 0.0),
        ("NYC", '["New York", "NYC"]', {}, 1.0),
        ("LA", '["New York", "NYC"]', {}, 0.0),
        ("[1, 2]", "[1, 2]", {}, 1.0),
        ("I pick (B) for sure", "b", {"extract": r"\(([A-D])\)"}, 1.0),
        ("I pick (B) for sure", "b", {"extract": r"\([A-D]\)"}, 1.0),
        ("I pick (B) for sure", "b", {"extract": r"\((?:A|B)\)"}, 1.0),
        ("I pick C", "b", {"extract": r"\(([A-D])\)"}, 0.0),
        ("e\u0301te\u0301", "été", {}, 1.0),
    ],
)
def test_exact_match(
    response: str, ground_truth: str, settings_: dict[str, Any], wanted: float
) -> None:
    assert reward("exact_match", response, ground_truth, **settings_) == wanted


@pytest.mark.parametrize(
    ("response", "ground_truth", "settings_", "wanted"),
    [
        ("call 555-1234 now", None, {"pattern": r"\d{3}-\d{4}"}, 1.0),
        ("call 555-1234 now", None, {"pattern": r"\d{3}-\d{4}", "whole": True}, 0.0),
        ("555-1234", None, {"pattern": r"\d{3}-\d{4}|x", "whole": True}, 1.0),
        ("YES", "yes|no", {}, 0.0),
        ("YES", "yes|no", {"ignore_case": True}, 1.0),
        ("YES", "(", {}, None),
    ],
)
def test_regex_match(
    response: str, ground_truth: str | None, settings_: dict[str, Any], wanted: float | None
) -> None:
    assert reward("regex_match", response, ground_truth, **settings_) == wanted
    if wanted is None:
        assert reason("regex_match", response, ground_truth).startswith(
            "bad_pattern: the ground truth ("
        )


def test_a_pattern_that_backtracks_for_ever_elsewhere_ends_here() -> None:
    assert reward("regex_match", "a" * 50_000 + "b", None, pattern="^(a+)+$") == 0.0


@pytest.mark.parametrize(
    ("kind", "settings_"),
    [("regex_match", {"pattern": "("}), ("exact_match", {"extract": "(?=x)"})],
)
def test_a_bad_pattern_of_the_settings_is_refused(kind: str, settings_: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is no regular expression"):
        build(kind, **settings_)


@pytest.mark.parametrize(
    ("response", "wanted", "says"),
    [
        ('{"age": 3}', 1.0, "holds to the schema"),
        ('Here:\n```json\n{"age": 3}\n```\nDone.', 1.0, "holds to the schema"),
        ('{"age": -3}', 0.0, "$.age: '-3 is less than the minimum of 0'"),
        ("{}", 0.0, "'age' is a required property"),
        ("[" * 5000, 0.0, "no JSON: "),
        ('{"age": NaN}', 0.0, "no JSON: "),
        ("three", 0.0, "no JSON: "),
    ],
)
def test_json_schema(response: str, wanted: float, says: str, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_bytes(orjson.dumps(SCHEMA))
    for given_ in ({"ground_truth": orjson.dumps(SCHEMA).decode()}, {"file": str(path)}):
        assert reward("json_schema", response, **given_) == wanted
        assert says in reason("json_schema", response, **given_)


def test_a_schema_elsewhere_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    ground_truth = '{"$ref": "http://localhost:9/schema.json"}'
    assert reason("json_schema", "{}", ground_truth).startswith("bad_schema: ")


def test_a_bad_schema_is_no_responses_fault(tmp_path: Path) -> None:
    for bad in ("Paris", "3", '{"type": "nothing"}'):
        assert reward("json_schema", "{}", bad) is None
        assert reason("json_schema", "{}", bad).startswith("bad_schema: ")
    path = tmp_path / "schema.json"
    path.write_text("Paris")
    for file, says in ((path, "is no JSON Schema"), (tmp_path / "none", "can't be read")):
        with pytest.raises(ConfigError, match=says):
            build("json_schema", file=str(file))


TEXT = 'First, look. Then go!\n\n- one\n- two\n\nThe end of "it"'


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        ({"min_words": 10, "max_words": 10}, ""),
        ({"min_words": 11}, "min_words"),
        ({"max_words": 9, "max_chars": 5}, "max_chars, max_words"),
        ({"min_sentences": 3, "max_sentences": 3}, ""),
        ({"min_paragraphs": 3, "max_paragraphs": 3}, ""),
        ({"min_bullets": 2, "max_bullets": 2}, ""),
        ({"max_bullets": 1}, "max_bullets"),
        ({"keywords": ["LOOK", "the end"]}, ""),
        ({"keywords": ["look", "loo"]}, "keywords"),
        ({"forbidden": ["on", "."]}, "forbidden"),
        ({"forbidden": ["on", "tw"]}, ""),
        ({"starts_with": "First", "ends_with": '"it"'}, ""),
        ({"starts_with": "first"}, "starts_with"),
        ({"format": ["no_commas", "one_line"]}, "format no_commas, format one_line"),
        (
            {"format": ["json", "lowercase", "quoted"]},
            "format json, format lowercase, format quoted",
        ),
    ],
)
def test_constraints_of_the_settings_or_of_the_ground_truth(
    rules: dict[str, Any], broken: str
) -> None:
    says = f"does not hold to: {broken}" if broken else "holds to all"
    for given_ in (rules, {"ground_truth": orjson.dumps(rules).decode()}):
        assert reward("constraints", TEXT, **given_) == float(not broken)
        assert reason("constraints", TEXT, **given_) == says


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The moon is bright tonight, and the sea is calm.", "en"),
        ("La luna brilla mucho esta noche y el mar está en calma.", "es"),
        ("Der Mond scheint heute hell, und das Meer ist ruhig.", "de"),
        ("La lune brille ce soir et la mer est calme.", "fr"),
    ],
)
def test_the_language_of_the_response(text: str, language: str) -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    for code in ("en", "es", "de", "fr"):
        for given_ in ({"language": code}, {"ground_truth": f'{{"language": "{code}"}}'}):
            assert reward("constraints", text, **given_) == float(code == language)
    assert reason("constraints", text, language="it") == "does not hold to: language"
    assert reward("constraints", "1, 2, 3!", language=language) == 0.0
    assert reason("constraints", text, '{"language": "xx"}') == (
        'bad_constraints: the ground truth \'{"language": "xx"}\', language: py3langid doesn\'t '
        "know xx"
    )


def test_an_unknown_language_of_the_settings_is_refused() -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    with pytest.raises(ConfigError, match="py3langid doesn't know xx; known: af, "):
        reward("constraints", "text", language="xx")


def test_a_language_without_py3langid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_load_identifier", _fail_to_import)
    for given_ in ({"language": "en"}, {"ground_truth": '{"language": "en"}'}):
        with pytest.raises(ConfigError, match="the constraint language needs py3langid"):
            reward("constraints", "text", **given_)
    assert reward("constraints", "text", max_words=1) == 1.0


def _fail_to_import(among: tuple[str, ...]) -> None:
    raise ImportError("no py3langid")


def test_a_share_of_the_constraints() -> None:
    rules = {"min_words": 1, "max_words": 5, "format": ["no_commas", "one_line"]}
    assert reward("constraints", TEXT, **rules, partial=True) == 0.25


def test_a_ground_truth_goes_before_the_settings() -> None:
    assert reward("constraints", "one two", '{"max_words": 2}', max_words=1) == 1.0
    assert reward("constraints", "one two", "#### 18", max_words=1) == 0.0
    assert reason("constraints", "one two", '{"max_word": 2}', max_words=1).startswith(
        "bad_constraints: the ground truth '{\"max_word\": 2}', max_word: "
    )
    assert reason("constraints", "one two", "#### 18").startswith("bad_constraints: ")
    assert reason("constraints", "one two", "{}").startswith("no_constraints: ")


@pytest.mark.parametrize(("text", "wanted"), [("null", 1.0), ("{}", 1.0), ("{", 0.0), ("x", 0.0)])
def test_any_json_value_is_json(text: str, wanted: float) -> None:
    assert reward("constraints", text, format=["json"]) == wanted


@settings(max_examples=50)
@given(st.lists(st.from_regex(r"\A[a-z]{2,8}\Z"), min_size=1, max_size=9), st.integers(1, 12))
def test_a_text_of_n_words_holds_to_every_bound_that_n_does(words: list[str], bound: int) -> None:
    text = " ".join(words)
    assert reward("constraints", text, max_words=bound) == float(len(words) <= bound)
    assert reward("constraints", text, min_words=bound) == float(len(words) >= bound)
    assert reward("constraints", text, keywords=words) == 1.0
    assert reward("constraints", text, forbidden=[words[0] + "x"]) == float(
        words[0] + "x" not in words
    )


def test_real_responses_by_length_and_by_their_mark() -> None:
    """GSM8K solutions of the demo's data all end in their mark; other responses don't."""
    path = Path(__file__).parents[3] / "demo" / "data" / "preferences.jsonl.gz"
    rows = [orjson.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    texts = {row["chosen"][-1]["content"]: row["source"] for row in rows}
    marked = rewards("regex_match", list(texts), pattern=r"\n#### -?[\d,.]+\z")
    assert {texts[text] for text, (found, _) in marked.items() if found == 1.0} == {"gsm8k"}
    assert all(found == 1.0 for text, (found, _) in marked.items() if texts[text] == "gsm8k")
    short = rewards("constraints", list(texts), max_chars=200)
    assert {len(text) <= 200 for text, (found, _) in short.items() if found == 1.0} == {True}
    assert {len(text) <= 200 for text, (found, _) in short.items() if found == 0.0} == {False}
