"""A fake judge model that writes: what it says is a function of the conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import orjson
import polars as pl
from judges.panels import unfence

from prefdata.engines.base import Engine, Options, Sampling, Structure, results

Turns = list[str]
"""The contents of a conversation's turns, without the boundaries of their blocks."""

FORMS = ("text", "choice", "json_schema", "regex")


class Speaking(Engine):
    """Writes; holds responses to the structures that it is made with, as far as `say` does."""

    def __init__(
        self,
        say: Callable[[Turns, Structure | None], str],
        structures: Sequence[str] = (),
        finish: str = "stop",
    ) -> None:
        self.name = self.fingerprint = "speaking"
        self.say = say
        self.structures = frozenset(structures)  # type: ignore[misc]
        self.finish = finish
        self.read: list[Turns] = []

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        asked = [
            [unfence(turn["content"]) for turn in turns] for turns in rows["messages"].to_list()
        ]
        self.read += asked
        yield results(
            "generate",
            rows["key"],
            text=[self.say(turns, settings.structure) for turns in asked],
            n_tokens=[1] * rows.height,
            finish_reason=[self.finish] * rows.height,
        )


class Weighing(Speaking):
    """Writes and gives log-probs: those of `weigh`, one an option."""

    def __init__(
        self,
        weigh: Callable[[Turns, Sequence[str]], Sequence[float]],
        say: Callable[[Turns, Structure | None], str] = lambda *_: "Some reasons.",
    ) -> None:
        super().__init__(say)
        self.weigh = weigh
        self.weighed: list[Turns] = []

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        asked = [
            [unfence(turn["content"]) for turn in turns] for turns in rows["messages"].to_list()
        ]
        self.weighed += asked
        found = [list(self.weigh(turns, settings.options)) for turns in asked]
        yield results("choose", rows["key"], logprobs=found)


def in_form(verdict: str, structure: Structure | None, key: str = "verdict") -> str:
    """The verdict as a model writes it that does what it is told."""
    if structure is None:
        return f"I looked at all of it.\n\n[[{verdict}]]"
    if structure.json_schema is None:
        return verdict
    said = verdict.split(" > ") if key == "ranking" else verdict
    return orjson.dumps({key: said}).decode()
