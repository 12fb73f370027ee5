"""A model's control tokens: the texts that its tokenizer takes for a turn's start, its end …

They are the tokens that a tokenizer calls special, and added ones that its chat template writes,
such as DeepSeek's `<｜User｜>`. The marks of thoughts and calls, where they are not special, are
none: a response may hold them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import polars as pl

from prefdata.engines.config import LocalConfig
from prefdata.engines.model_files import find_file, read_template
from prefdata.messages.marks import KNOWN

_MARKS = {text for marks in KNOWN.values() for text in marks.list_texts()}
_MARKS |= {"<tool_call>", "</tool_call>"}
_NAMED = re.compile(r"[<\[][^\s<>\[\]]+[>\]]")
"""An added token that may be a control token without being special; others are words, lines …"""


_LOOKS_LIKE_ONE = (
    r"<[|｜][^|｜<>\s]{1,40}[|｜]>|</?s>|<(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT)\]"
)
logger = logging.getLogger("prefdata.engines")


def choose_control_tokens(added: Iterable[tuple[str, bool]], template: str) -> tuple[str, ...]:
    """The control tokens, sorted.

    Args:
        added: The texts of a tokenizer's added tokens, and whether they are special.
        template: The chat template.
    """
    return tuple(
        sorted(
            {
                text
                for text, special in added
                if special or (_NAMED.fullmatch(text) and text not in _MARKS and text in template)
            }
            - {""}
        )
    )


def list_control_tokens(tokenizer: Any) -> tuple[str, ...]:
    """The control tokens of a loaded tokenizer."""
    added = [(each.content, each.special) for each in tokenizer.added_tokens_decoder.values()]
    added += [(text, True) for text in tokenizer.all_special_tokens]
    template = tokenizer.chat_template or ""
    named = template.values() if isinstance(template, Mapping) else [template]
    return choose_control_tokens(added, "\n".join(named))


def read_control_tokens(config: LocalConfig) -> tuple[str, ...]:
    """The control tokens of a model, off its files: nothing has to be imported or loaded."""
    added = [
        (str(token["content"]), bool(token["special"]))
        for token in _read_json(config, "tokenizer.json").get("added_tokens", ())
    ]
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        added += _list_named(_read_json(config, name))
    return choose_control_tokens(added, read_template(config))


def warn_of_control_tokens(name: str, rows: pl.DataFrame) -> bool:
    """Warn if a content that goes to the server of model `name` looks like a control token. Returns
    whether it does."""
    for column in rows.select(pl.col(pl.String, pl.List)).get_columns():
        texts = _list_texts(column).str.extract(f"({_LOOKS_LIKE_ONE})").drop_nulls()
        if len(texts):
            logger.warning(
                "models.%s: a content holds %s; if that is a control token of the served model, "
                "the server takes it for one and can't be told otherwise (an engine that loads "
                "the model itself reads it as text)",
                name,
                texts[0],
            )
            return True
    return False


def _list_texts(column: pl.Series) -> pl.Series:
    """All texts in a column of texts, of messages or of calls."""
    if isinstance(column.dtype, pl.List):
        column = column.explode()
    if not isinstance(column.dtype, pl.Struct):
        return column if column.dtype == pl.String else pl.Series([], dtype=pl.String)
    parts = [_list_texts(column.struct.field(f.name)) for f in column.dtype.fields]
    return pl.concat([part.alias("text") for part in parts])


def _read_json(config: LocalConfig, name: str) -> dict[str, Any]:
    file = find_file(config, name)
    return {} if file is None else orjson.loads(file.read_bytes())


def _list_named(settings: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """(text, whether it is special) of the tokens that a tokenizer's settings name."""
    for token in (settings.get("added_tokens_decoder") or {}).values():
        yield token["content"], token["special"]
    for name, value in settings.items():
        if name.endswith("_token"):
            values: Iterable[Any] = [value]
        elif name in ("additional_special_tokens", "extra_special_tokens"):
            values = value.values() if isinstance(value, Mapping) else value or ()
        else:
            continue
        for each in values:
            text = each.get("content") if isinstance(each, Mapping) else each
            if isinstance(text, str):
                yield text, True
