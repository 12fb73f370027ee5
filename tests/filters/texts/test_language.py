"""Language: fixed ones, or the prompt's own; what is too short or unsure passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filters.bucket import build, pairs, run_filter, texts
from labelled import describe_quality, read_docstring, read_labelled

from prefdata.errors import ConfigError
from prefdata.filters.texts.language import Language

pytest.importorskip("py3langid")


TEXTS = {
    "en": "The old river bends far away from where it was drawn on every map of the county.",
    "de": "Der alte Fluss biegt sich weit von dort weg, wo er auf jeder Karte eingezeichnet war.",
    "fr": "La vieille rivière s'éloigne beaucoup de l'endroit où elle était dessinée sur la carte.",
    "ja": "その古い川は、どの地図に描かれた場所からも遠く離れて曲がっています。",
}


def decided(prompt: str, responses: dict[str, str], **config: Any) -> list[tuple[Any, Any]]:
    """(reason, detail) of pairs whose chosen responses are these."""
    some = pairs(*((name, "z", "p") for name in responses))
    bucket = (some, texts({**responses, "z": "ok"}, {"p": prompt}))
    return run_filter(build("language", **config), [bucket]).details()


def test_responses_in_other_languages_go() -> None:
    found = decided(TEXTS["en"], TEXTS, languages=["en", "fr"])
    assert [reason for reason, _ in found] == [
        None,
        "other_language_chosen",
        None,
        "other_language_chosen",
    ]
    assert found[1][1].startswith("de with confidence ")
    assert found[1][1].endswith(", wanted en, fr")


@pytest.mark.parametrize("spoken", TEXTS)
def test_without_languages_the_prompts_own_is_wanted(spoken: str) -> None:
    found = decided(TEXTS[spoken], TEXTS)
    wanted = [None if name == spoken else "other_language_chosen" for name in TEXTS]
    assert [reason for reason, _ in found] == wanted
    assert {d.split(", ")[1] for _, d in found if d} == {f"wanted {spoken} as in the prompt"}


def test_what_is_too_short_or_not_sure_passes() -> None:
    assert decided(TEXTS["en"], {"a": "Nein.", "b": "", "c": "2 + 2 = 4"}) == [(None, None)] * 3
    assert decided("Why?", TEXTS) == [(None, None)] * 4
    short = {"a": "Das ist nicht so."}
    assert decided(TEXTS["en"], short, min_chars=5, min_confidence=0)[0][0] is not None


def test_labelled_texts_as_well_as_the_docs_say() -> None:
    rows = read_labelled(Path(__file__).parent / "labelled" / "language.jsonl")
    found = decided("Why?", {f"t{n}": row["text"] for n, row in enumerate(rows)}, languages=["en"])
    flagged = [reason is not None for reason, _ in found]
    verdicts = zip(flagged, (row["language"] != "en" for row in rows), strict=True)
    assert describe_quality(verdicts) in read_docstring(Language)


def test_several_likely_languages_together_are_not_the_wanted_one() -> None:
    """Chinese is also written as its dialects, none of which is likelier than 0.9."""
    text = {"a": "你好，请问去北京怎么走？"}
    assert decided("Why?", text, languages=["en"])[0][0] == "other_language_chosen"
    assert decided("Why?", text, languages=["zh"]) == [(None, None)]
    assert decided("今天北京的天气怎么样？", text) == [(None, None)]
    assert decided("今天北京的天气怎么样？", {"a": TEXTS["en"]})[0][0] == "other_language_chosen"


def test_prompts_can_be_looked_at_too() -> None:
    found = decided(TEXTS["de"], {"a": TEXTS["en"]}, languages=["en"], of=["prompt", "chosen"])
    assert found[0][0] == "other_language_prompt"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"languages": ["english"]}, "doesn't know english; known: .*en"),
        ({"of": ["prompt"]}, "languages must say"),
        ({"languages": ["en"], "among": ["de"]}, "among must hold"),
    ],
)
def test_wrong_settings_are_refused(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("language", **config)
