"""The calls that a model wrote into its text, in its own format.

| format | what the model writes |
|---|---|
| hermes | `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, once per call (Hermes, Qwen) |
| mistral | `[TOOL_CALLS][{"name": …, "arguments": {…}}]`, or `[TOOL_CALLS]NAME[ARGS]{…}` per call |
| llama3 | nothing but `{"name": …, "parameters": {…}}`, or that behind `<|python_tag|>` |
| harmony | a message to `functions.NAME` on the channel `commentary` (gpt-oss) |

Decoding leaves out what a tokenizer takes for special tokens, so Mistral's marks may be missing.
A text without calls stays as it is, and so does JSON that is no call.
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


Calls = list[dict[str, str | None]]
"""Calls in the columns of `ToolCall`."""


class Split(NamedTuple):
    """A text and the calls that stood in it."""

    text: str
    calls: Calls


_HERMES = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_HARMONY = re.compile(
    r"(?:<\|start\|>assistant)?(?:<\|channel\|>commentary)?[ ]*to=functions\.([\w.-]+)"
    r"(?:<\|channel\|>commentary)?[ ]*(?:<\|constrain\|>)?(?:json|code)?[ ]*<\|message\|>"
    r"(.*?)(?:<\|call\|>|<\|end\|>|\Z)",
    re.DOTALL,
)
_PREAMBLE = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(?:commentary|final)<\|message\|>(.*?)(?:<\|end\|>|\Z)",
    re.DOTALL,
)
"""What a model says before it calls, on the channel of calls or of responses."""
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


def take_calls(
    results: pl.DataFrame, tools: pl.Series, call_format: CallFormat | None
) -> pl.DataFrame:
    """Take the calls out of what models wrote to prompts with tools.

    Args:
        results: text (without thoughts), tool_calls (what a server took apart, as the model wrote
            it), finish_reason, perhaps raw_text (with the thoughts), and any other columns.
        tools: The tools of each result's prompt; null: none, and the result stays as it is.
        call_format: How the model writes calls; None: not in its text.

    Returns:
        The results, with the calls in `tool_calls`, what remains in `text`, the whole in
        `raw_text`, and `call_fault` (why calls can't be read; null where they can).
    """
    raw = "raw_text" if "raw_text" in results.columns else pl.lit(None, dtype=pl.String)
    whole = results.with_columns(raw_text=raw, call_fault=pl.lit(None, dtype=pl.String))
    offered = whole.select(tools.is_not_null().alias("offered"))["offered"]
    if not offered.any():
        return whole
    written = offered & whole["tool_calls"].is_null() & whole["text"].is_not_null()
    if call_format is None:
        written = written & False
    split = _split_texts(whole["text"], written, call_format or "hermes")
    apart = _read_apart(whole["tool_calls"], offered)
    cut_off = pl.col("finish_reason") == "length"
    reason = pl.format(
        "{}{}",
        pl.when(cut_off).then(pl.lit("cut off at max_tokens: ")).otherwise(pl.lit("")),
        "fault",
    )
    return (
        whole.with_columns(*split, *apart)
        .with_columns(fault=pl.coalesce("fault", "fault_apart"))
        .with_columns(
            raw_text=pl.when(pl.col("calls").is_not_null())
            .then(pl.coalesce("raw_text", "text"))
            .otherwise("raw_text"),
            text=pl.when(pl.col("calls").is_not_null()).then("rest").otherwise("text"),
            tool_calls=pl.coalesce("calls", "calls_apart"),
            call_fault=pl.when(pl.col("fault").is_not_null()).then(reason),
        )
        .select(whole.columns)
    )


def split_calls(texts: pl.Series, call_format: CallFormat) -> pl.DataFrame:
    """Split the calls off texts that models wrote.

    Args:
        texts: What the models wrote, without thoughts.
        call_format: How they write calls.

    Returns:
        `rest` (the text without the calls), `calls` (null where there are none) and `fault` (why
        they can't be read; null where they can).
    """
    return pl.DataFrame(_split_texts(texts, texts.is_not_null(), call_format))


def _split_texts(texts: pl.Series, chosen: pl.Series, call_format: CallFormat) -> list[pl.Series]:
    # Only texts that may hold calls are read one by one: JSON of any shape has no expression.
    marked = chosen & texts.str.contains_any(_MARKS[call_format]).fill_null(False)
    rests: list[str] = []
    calls: list[Calls | None] = []
    faults: list[str | None] = []
    for text in texts.filter(marked):
        try:
            found, fault = _SPLITTERS[call_format](text), None
        except CallFault as error:
            found, fault = Split(text, []), str(error)
        rests.append(found.text)
        calls.append(found.calls or None)
        faults.append(fault)
    read = [
        pl.Series("rest", rests, dtype=pl.String),
        pl.Series("calls", calls, dtype=CALLS),
        pl.Series("fault", faults, dtype=pl.String),
    ]
    places = _place(marked)
    spread = [series.gather(places) for series in read]
    return [spread[0].fill_null(texts).alias("rest"), *spread[1:]]


def _read_apart(calls: pl.Series, offered: pl.Series) -> list[pl.Series]:
    """The calls that a server took apart, with their arguments in our form, and their faults."""
    given = offered & calls.is_not_null()
    read: list[Calls | None] = []
    faults: list[str | None] = []
    for each in calls.filter(given).to_list():
        try:
            taken, fault = [take_call(call) for call in each], None
        except CallFault as error:
            taken, fault = None, str(error)
        read.append(taken)
        faults.append(fault)
    places = _place(given)
    return [
        pl.Series("calls_apart", read, dtype=CALLS).gather(places),
        pl.Series("fault_apart", faults, dtype=pl.String).gather(places),
    ]


def _place(chosen: pl.Series) -> pl.Series:
    """For each chosen row its number among them; null for the others."""
    numbers = pl.when(chosen).then(chosen.cast(pl.Int64).cum_sum() - 1)
    return pl.select(numbers.alias("place"))["place"]


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
        return _split_unmarked(text)
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


def _split_unmarked(text: str) -> Split:
    """A text that is nothing but `NAME{…}`, or a list of calls."""
    named = _MISTRAL_NAMED.match(text)
    if named is None:
        return _split_bare(text)
    try:
        arguments = load_json(text[named.end() :])
    except CallFault:
        return Split(text, [])
    return Split("", [make_call(named[1], arguments, named[2])])


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
    return Split(_PREAMBLE.sub(r"\1", rest).strip() if calls else text, calls)


_SPLITTERS: dict[CallFormat, Callable[[str], Split]] = {
    "hermes": split_hermes,
    "mistral": _split_mistral,
    "llama3": _split_llama3,
    "harmony": _split_harmony,
}
_MARKS: dict[CallFormat, list[str]] = {
    "hermes": ["<tool_call>"],
    "mistral": ["[TOOL_CALLS]", "{"],
    "llama3": [_PYTHON_TAG, "{"],
    "harmony": ["to=functions."],
}
