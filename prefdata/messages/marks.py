"""Marks: the texts between which models write their thoughts, as their chat templates have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Marks:
    """The marks of a format.

    Attributes:
        open: What stands before the thoughts.
        close: What stands after them. Of several the longest that fits is taken, and the last one
            may be followed by something other than a response (a call in harmony's commentary).
        bare: What stands before a response without thoughts, where the format has such a mark.
        tokens: Special tokens of the format. Where the model's tokenizer has them, they stay in
            the text that the model wrote; other special tokens don't.
        opens: Whether the prompt ends with `open`, so that the text begins inside the thoughts;
            None: not known, so a closing mark alone also ends thoughts.
    """

    open: str
    close: tuple[str, ...]
    bare: str = ""
    tokens: tuple[str, ...] = ()
    opens: bool | None = None

    def list_texts(self) -> tuple[str, ...]:
        """Every mark and token, for finding out which special tokens are part of them."""
        return (self.open, *self.close, self.bare, *self.tokens)

    def with_prompt(self, prompt: str) -> Marks:
        """These marks after a rendered prompt, which may end with the opening one."""
        return replace(self, opens=prompt.rstrip().endswith(self.open.rstrip()))


FormatName = Literal[
    "think", "thinking", "thought", "magistral", "seed", "cohere", "gemma", "kimi", "harmony"
]

KNOWN: dict[FormatName, Marks] = {
    "think": Marks("<think>", ("</think>",)),
    "thinking": Marks("<thinking>", ("</thinking>",)),
    "thought": Marks("<thought>", ("</thought>",)),
    "magistral": Marks("[THINK]", ("[/THINK]",)),
    "seed": Marks("<seed:think>", ("</seed:think>",)),
    "cohere": Marks("<|START_THINKING|>", ("<|END_THINKING|>",)),
    "gemma": Marks("<|channel>thought", ("<channel|>",)),
    "kimi": Marks("◁think▷", ("◁/think▷",)),
    "harmony": Marks(
        "<|channel|>analysis<|message|>",
        (
            "<|end|><|start|>assistant<|channel|>final<|message|>",
            "<|end|><|start|>assistant",
        ),
        "<|channel|>final<|message|>",
        ("<|constrain|>", "<|call|>"),
    ),
}
"""The known formats: Qwen 3, DeepSeek R1 and many others (think), Exaone (thought), Mistral's
Magistral, Seed-OSS, Command A Reasoning (cohere), Gemma 4, Kimi, and gpt-oss (harmony)."""


def find_marks(template: str) -> Marks | None:
    """The marks of the first known format whose opening mark a chat template names."""
    return next((marks for marks in KNOWN.values() if marks.open in template), None)


def match_any(texts: Sequence[str]) -> str:
    """A pattern that matches the first of the texts that fits."""
    return "(?:" + "|".join(map(re.escape, texts)) + ")"
