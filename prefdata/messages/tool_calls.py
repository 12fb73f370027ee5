"""The calls that a model wrote into its text, in its own format.

| format | what the model writes |
|---|---|
| hermes | `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, once per call (Hermes, Qwen) |
| mistral | `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, or `[TOOL_CALLS]NAME[ARGS]{…}` per call |
| llama3 | nothing but `{"name": …, "parameters": {…}}`, or that behind `<|python_tag|>` |
| harmony | a message to `functions.NAME` on the channel `commentary` (gpt-oss) |

A text without calls stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import polars as pl

from prefdata.messages.calls import CallFault, load_json, make_call, take_call
from prefdata.messages.columns import CALLS

CallFormat = Literal["hermes", "mistral", "llama3", "harmony"]

UNREADABLE = "tool_call_unreadable"
"""The code of a response whose calls can't be read."""


class Split(NamedTuple):
    """A text and the calls that stood in it, in the columns of `ToolCall`."""

    text: str
    calls: list[dict[str, str | None]]


_HERMES = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_HARMONY = re.compile(
    r"(?:<\|start\|>assistant)?(?:<\|channel\|>commentary)?[ ]*to=functions\.([\w.-]+)"
    r"(?:<\|channel\|>commentary)?[ ]*(?:<\|constrain\|>)?(?:json|code)?[ ]*<\|message\|>"
    r"(.*?)(?:<\|call\|>|<\|end\|>|\Z)",
    re.DOTALL,
)
_MISTRAL_NAMED = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*([\w-]+)\s*)?(?:\[ARGS\])?\s*(?=\{)")
_PYTHON_TAG = "<|python_tag|>"


def detect_call_format(chat_template: str) -> CallFormat | None:
    """The format that a chat template teaches its model; None: none that is known."""
    if "<|channel|>" in chat_template and "functions." in chat_template:
        return "harmony"
    if "[TOOL_CALLS]" in chat_template:
        return "mistral"
    # Llama 3.1 and later name the environment, even where they don't use the tag.
    if _PYTHON_TAG in chat_template or "Environment: ipython" in chat_template:
        return "llama3"
    return "hermes" if "<tool_call>" in chat_template else None


def split_calls(texts: pl.Series, call_format: CallFormat) -> pl.DataFrame:
    """Split the calls off texts that models wrote.

    Args:
        texts: What the models wrote, without thoughts.
        call_format: How they write calls.

    Returns:
        `text` (without the calls, stripped where there were any), `tool_calls` (null where there
        are none) and `fault` (why the calls can't be read; null where they can).
    """
    marked = texts.str.contains_any(_MARKS[call_format]).fill_null(False)
    split = _SPLITTERS[call_format]
    rows: list[tuple[str, list[dict[str, str | None]] | None, str | None]] = []
    # Only the texts that may hold calls are read one by one: JSON of any shape has no expression.
    for text in texts.filter(marked):
        try:
            found = split(text)
        except CallFault as fault:
            rows.append((text, None, str(fault)))
        else:
            rows.append((found.text, found.calls or None, None))
    schema = {"text": pl.String, "tool_calls": CALLS, "fault": pl.String}
    read = pl.DataFrame(rows, schema=schema, orient="row")
    place = pl.when(marked).then(marked.cast(pl.Int64).cum_sum() - 1)
    places = pl.select(place=place)["place"]
    return pl.DataFrame(
        [
            read["text"].gather(places).fill_null(texts).alias("text"),
            read["tool_calls"].gather(places),
            read["fault"].gather(places),
        ]
    )


def split_hermes(text: str, load: Callable[[str], Any] = load_json) -> Split:
    """Split off calls in `<tool_call>` marks.

    Args:
        text: What a model wrote.
        load: Reads what stands between the marks.

    Raises:
        CallFault: A mark is not closed, or what stands in it is no call.
    """
    calls = [take_call(load(body.strip())) for body in _HERMES.findall(text)]
    rest = _HERMES.sub("", text)
    if calls and "<tool_call>" not in rest:
        return Split(rest.strip(), calls)
    if "<tool_call>" in rest:
        raise CallFault(f"<tool_call> is not closed: {rest[rest.find('<tool_call>') :][:80]!r}")
    return Split(text, [])


def _split_mistral(text: str) -> Split:
    """Calls behind [TOOL_CALLS]; or a text that is nothing but their list, because decoding leaves
    the mark out where it is a special token."""
    before, mark, behind = text.partition("[TOOL_CALLS]")
    if not mark:
        return _split_bare(text)
    calls = []
    for part in behind.split("[TOOL_CALLS]"):
        if part.lstrip().startswith("["):
            listed = load_json(part)
            if not isinstance(listed, list) or not listed:
                raise CallFault(f"[TOOL_CALLS] lists no calls: {part[:80]!r}")
            calls += [take_call(call) for call in listed]
            continue
        named = _MISTRAL_NAMED.match(part)
        if named is None:
            raise CallFault(f"behind [TOOL_CALLS] stands no call: {part[:80]!r}")
        calls.append(make_call(named[1], load_json(part[named.end() :]), named[2]))
    return Split(before.strip(), calls)


def _split_llama3(text: str) -> Split:
    before, mark, behind = text.partition(_PYTHON_TAG)
    if not mark:
        return _split_bare(text)
    found = _split_bare(behind)
    if not found.calls:
        raise CallFault(f"behind {_PYTHON_TAG} stands no call: {behind[:80]!r}")
    return Split(before.strip(), found.calls)


def _split_bare(text: str) -> Split:
    """A text that is nothing but calls. JSON that is no call is a response like any other."""
    decoder, rest = json.JSONDecoder(), text.strip()
    values: list[Any] = []
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (json.JSONDecodeError, RecursionError):
            if values or rest.startswith(('{"name"', '[{"name"')):
                raise CallFault(f"it is no JSON: {rest[:80]!r}") from None
            return Split(text, [])
        values += value if isinstance(value, list) else [value]
        rest = rest[end:].lstrip("; \n\t")
    called = [value for value in values if isinstance(value, dict) and _names_call(value)]
    if not called or len(called) < len(values):
        return Split(text, [])
    return Split("", [take_call(value) for value in called])


def _names_call(value: dict[str, Any]) -> bool:
    return "name" in value and ("arguments" in value or "parameters" in value)


def _split_harmony(text: str) -> Split:
    calls = [make_call(name, body.strip()) for name, body in _HARMONY.findall(text)]
    rest = _HARMONY.sub("", text)
    if "to=functions." in rest:
        raise CallFault(f"it calls no function: {rest[rest.find('to=functions.') :][:80]!r}")
    return Split(rest.strip() if calls else text, calls)


_SPLITTERS: dict[CallFormat, Callable[[str], Split]] = {
    "hermes": split_hermes,
    "mistral": _split_mistral,
    "llama3": _split_llama3,
    "harmony": _split_harmony,
}
_MARKS: dict[CallFormat, list[str]] = {
    "hermes": ["<tool_call>"],
    "mistral": ["[TOOL_CALLS]", '"name"'],
    "llama3": [_PYTHON_TAG, '"name"'],
    "harmony": ["to=functions."],
}
