"""A server that sends the key back, in whatever form: no value that comes back holds it."""

from __future__ import annotations

import base64
import html
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from engines.openai.asking import generate, prompts, started
from engines.openai.loopback import Reaction, Request, chat, serving
from hypothesis import example, given
from hypothesis import strategies as st

from prefdata.engines.openai.redaction import MARK, Redaction

KEY = "sk-proj-Zk3v9_xQ7/aB+44==mN0pT"
FORMS = {
    "plain": KEY,
    "upper": KEY.upper(),
    "url": quote(KEY, safe=""),
    "every byte": "".join(f"%{byte:02X}" for byte in KEY.encode()),
    "escaped": "".join(f"\\u{ord(char):04x}" for char in KEY),
    "entities": html.escape("".join(f"&#{ord(char)};" for char in KEY)).replace("&amp;", "&"),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "basic": base64.b64encode(f"me:{KEY}".encode()).decode(),
    "url base64": base64.urlsafe_b64encode(f"user:{KEY}:".encode()).decode(),
    "hex": KEY.encode().hex(),
    "spaced": " ".join(KEY),
    "lines": "\n".join(KEY[n : n + 5] for n in range(0, len(KEY), 5)),
    "invisible": "\u200b".join(KEY),
    "halves": f"{KEY[:15]} and then {KEY[15:]}",
    "cut": KEY[:20],
}


def holds(text: str) -> bool:
    """Whether 8 letters and digits of the key in a row stand in a text."""
    letters = [c for c in KEY if c.isalnum()]
    plain = "".join(c for c in text if c.isalnum())
    return any("".join(letters[n : n + 8]) in plain for n in range(len(letters) - 7))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_found(name: str) -> None:
    said = f"wrong key: {FORMS[name]}, try another"
    found = Redaction(KEY).redact(said)
    assert MARK in found
    assert found.startswith("wrong key: ")
    assert found.endswith(", try another")
    assert len(found) <= 60
    assert not holds(found)
    # Nothing is left that is redacted once more.
    assert Redaction(KEY).redact(found) == found


@given(st.text(), st.text(), st.integers(0, 3))
@example("%00 &amp;", "\\x41", 0)
def test_other_texts_stay_as_they_are(before: str, after: str, at: int) -> None:
    redaction = Redaction(KEY)
    assert redaction.redact(before) == before
    found = redaction.redact(f"{before} {KEY} {after}")
    assert found.startswith(before)
    assert found.endswith(after)
    assert MARK in found


@pytest.mark.parametrize("word", ["EMPTY", "none", "not-needed", "token", "12345678"])
def test_a_word_in_place_of_a_key_changes_no_response(word: str) -> None:
    redaction = Redaction(word)
    text = f"The shelf is EMPTY, none is not needed: {word}"
    assert redaction.redact(text) == text
    assert word not in redaction.redact_error(f"wrong key {word}")


def test_pieces_of_words_are_no_pieces_of_a_key() -> None:
    redaction = Redaction("my-company-secret-token-41")
    text = "My company keeps a secret token in the safe."
    assert redaction.redact(text) == text
    assert redaction.redact("my company secret token 4!") == "***!"


def test_an_echo_in_any_field_comes_back_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    coded = FORMS["base64"][:-4]

    def react(request: Request) -> Reaction | None:
        reply: dict[str, Any] = chat(request.body)
        choice, message = reply["choices"][0], reply["choices"][0]["message"]
        call = {"id": KEY, "function": {"name": coded, "arguments": f'{{"key": "{KEY}"}}'}}
        {
            "finish": lambda: choice.update(finish_reason=KEY),
            "text": lambda: message.update(content=f"My key is {FORMS['url']}!"),
            "thoughts": lambda: message.update(reasoning=f"It sent {coded}"),
            "calls": lambda: message.update(tool_calls=[call]),
        }[request.text]()
        return Reaction(body=orjson.dumps(reply))

    options = {"api_key_env": "SERVER_KEY", "max_retries": 0}
    with serving(react) as (server,), started(server, **options) as made:
        found = generate(made, prompts("finish", "text", "thoughts", "calls"))
    assert found["error"].to_list()[1:] == [None] * 3
    assert found["error"][0].startswith("bad_response: finish_reason is '***")
    assert found["text"][1] == "My key is ***!"
    assert found["thoughts"][2] == "It sent ***"
    assert found["tool_calls"][3].to_list() == [
        {"id": MARK, "name": MARK, "arguments": '{"key": "***"}'}
    ]
