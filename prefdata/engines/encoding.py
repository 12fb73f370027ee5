"""Texts and rendered conversations as token ids, in which a content never becomes a control token.

A chat template writes its control tokens (`<|im_end|>`) and the contents into one text, of which a
tokenizer can't tell who wrote what. So where a content holds the text of a control token, a word of
digits stands in for it while the template renders, and the result is encoded by a twin of the
tokenizer whose control tokens go by other names: the template's own get these names, and the
contents are text again. All other texts take the tokenizer itself; both give the same ids.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import orjson

from prefdata.engines.control_tokens import list_control_tokens
from prefdata.messages.layout import Refused

Value = TypeVar("Value")


_SAMPLE = "Good day"
_A_WORD_TOO = (
    "it holds the text of a control token, which is a word of the tokenizer's own vocabulary too, "
    "and can't be encoded as text"
)


@dataclass(frozen=True)
class EndOfTurn:
    """The tokens that end an assistant's turn, and the text of the last of them."""

    ids: list[int]
    text: str


class Encoder:
    """A tokenizer that knows contents from control tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        controls = list_control_tokens(tokenizer)
        longest_first = sorted(controls, key=len, reverse=True)
        # Some tokenizers have hundreds, which would be tried at every character.
        begins = "|".join(sorted({re.escape(text[:2]) for text in controls}))
        any_of = "|".join(map(re.escape, longest_first))
        self._pattern = f"(?={begins})(?:{any_of})" if controls else "(?!)"
        self._control = re.compile(self._pattern)
        # Nobody can guess them, and no template changes digits. They leave no trace in the ids.
        self._nonce = _draw_digits()
        self._literal = {f"{self._nonce}{n:06d}": text for n, text in enumerate(controls)}
        self._stand_ins = {text: word for word, text in self._literal.items()}
        self._blank = f"{self._nonce}{len(controls):06d}"
        self._literal[self._blank] = ""

    def shield(self, value: Value) -> Value:
        """A content, or a structure of contents, with stand-ins for the control tokens in it."""
        shielded: Any = value
        if isinstance(value, str):
            shielded = self._control.sub(lambda found: self._stand_ins[found[0]], value)
            if shielded == value and self._becomes_control(value):
                shielded = self._blank + value
        elif isinstance(value, dict):
            shielded = {self.shield(name): self.shield(each) for name, each in value.items()}
        elif isinstance(value, list):
            shielded = [self.shield(each) for each in value]
        return shielded

    def encode(self, rendered: str) -> list[int]:
        """The ids of what a template made of shielded contents. Raises Refused."""
        if self._nonce not in rendered:
            return list(self.tokenizer(rendered, add_special_tokens=False)["input_ids"])
        return self._twin.encode(rendered, self._literal)

    def encode_content(self, text: str) -> list[int]:
        """The ids of a content. Raises Refused."""
        return self.encode(self.shield(text))

    def find_end_of_turn(self, arguments: Mapping[str, Any] | None = None) -> EndOfTurn:
        """What the chat template writes after an assistant's message, up to the control token with
        which it ends; the tokenizer's end of text where it writes none.

        Args:
            arguments: What the template gets besides messages.
        """
        from jinja2 import TemplateError

        end = self.tokenizer.eos_token
        own = EndOfTurn([], "") if end is None else EndOfTurn([self.tokenizer.eos_token_id], end)
        turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _SAMPLE}]
        try:
            text = self.tokenizer.apply_chat_template(turns, tokenize=False, **(arguments or {}))
        except TemplateError:
            return own
        start = text.rfind(_SAMPLE) + len(_SAMPLE)
        control = self._control.search(text, start)
        if start < len(_SAMPLE) or control is None:
            return own
        # In its place, as a tokenizer may put a space before what stands alone.
        before, whole = self.encode(text[:start]), self.encode(text[: control.end()])
        in_place = whole[: len(before)] == before
        return EndOfTurn(whole[len(before) :] if in_place else whole[-1:], control[0])

    @cached_property
    def _twin(self) -> _Twin:
        return _Twin(self.tokenizer, self._pattern, list(self._stand_ins))

    @cached_property
    def _normalizer(self) -> Any:
        """What makes control tokens of other texts (full-width letters …); None: nothing does."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        if not any(each.normalized and each.content in self._stand_ins for each in added):
            return None
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return None if backend is None else backend.normalizer

    def _becomes_control(self, text: str) -> bool:
        normalizer = self._normalizer
        return (
            normalizer is not None
            and self._control.search(normalizer.normalize_str(text)) is not None
        )


def encode_texts(
    tokenizer: Any, texts: list[str], longest: int
) -> tuple[list[list[int]], dict[int, str]]:
    """Texts as an embedder reads them, alone and each cut after `longest` tokens.

    Returns:
        (ids of each text with what the tokenizer puts around it, the error of each text that can't
        be encoded as text).
    """
    encoded = tokenizer(texts, truncation=True, max_length=longest, split_special_tokens=True)
    ids: list[list[int]] = encoded["input_ids"]
    around = tokenizer.num_special_tokens_to_add()
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    # Some vocabularies hold the texts of special tokens as words too.
    errors = {
        row: f"refused: {_A_WORD_TOO}"
        for row, each in enumerate(ids)
        if sum(id in special for id in each) > around
    }
    return ids, errors


class _Twin:
    """A tokenizer's twin, whose control tokens go by other names.

    Args:
        tokenizer: The tokenizer.
        pattern: Matches the control tokens.
        controls: Their texts.

    Raises:
        Refused: The tokenizer is none of the library tokenizers, which alone can be copied so.
    """

    def __init__(self, tokenizer: Any, pattern: str, controls: list[str]) -> None:
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise Refused(
                "it holds the text of a control token, which this tokenizer can't encode as text: "
                "convert it to a tokenizer.json"
            )
        nonce = _draw_digits()
        state = orjson.loads(backend.to_str())
        # The ids alone are wanted, of the whole text and without what a post-processor adds.
        state |= dict.fromkeys(("truncation", "padding", "post_processor"))
        ids = {token["content"]: token["id"] for token in state["added_tokens"]}
        self.names = {text: f"{nonce}{n:06d}" for n, text in enumerate(controls) if text in ids}
        for token in state["added_tokens"]:
            token["content"] = self.names.get(token["content"], token["content"])
        _rename_vocabulary(state["model"], self.names)
        self._tokenizer = Tokenizer.from_str(orjson.dumps(state).decode())
        # A token that was in no vocabulary before has an id of its own here.
        self._ids = {
            self._tokenizer.token_to_id(self.names.get(text, text)): id for text, id in ids.items()
        }
        # Any text may hold what no other token has.
        self._counted = self.names.keys() - {tokenizer.unk_token}
        self._controls = {ids[text] for text in self._counted}
        self._pattern = pattern

    def encode(self, rendered: str, literal: dict[str, str]) -> list[int]:
        """The ids of a text in which the keys of `literal` stand in for their values. Raises
        Refused."""
        expected = 0

        def put(found: re.Match[str]) -> str:
            nonlocal expected
            if found[0] in literal:
                return literal[found[0]]
            expected += found[0] in self._counted
            return self.names.get(found[0], found[0])

        either = re.compile(rf"{'|'.join(literal)}|{self._pattern}")
        encoded = self._tokenizer.encode(either.sub(put, rendered), add_special_tokens=False)
        ids = [self._ids.get(id, id) for id in encoded.ids]
        if sum(id in self._controls for id in ids) != expected:
            raise Refused(_A_WORD_TOO)
        return ids


def _rename_vocabulary(model: dict[str, Any], names: dict[str, str]) -> None:
    """Rename the tokens in a tokenizer's vocabulary, so that no text is cut into them."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        # What merges make or take can't be renamed.
        merges = (m.split(" ") if isinstance(m, str) else m for m in model.get("merges") or ())
        bound = {text for merge in merges for text in (*merge, "".join(merge)) if text in names}
        names = {text: name for text, name in names.items() if text not in bound}
        model["vocab"] = {names.get(text, text): id for text, id in vocabulary.items()}
    else:
        model["vocab"] = [[names.get(text, text), score] for text, score in vocabulary]
    unknown = model.get("unk_token")
    if unknown is not None:
        model["unk_token"] = names.get(unknown, unknown)


def _draw_digits() -> str:
    return str(10**39 + secrets.randbelow(9 * 10**39))
