"""Judges, candidates and fake models for tests of judges."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import polars as pl
from hypothesis import strategies as st

from prefdata.comparisons.keys import COMPARISON
from prefdata.engines.base import Engine, LoglikelihoodSettings, Options, results
from prefdata.engines.scripted import ScriptedConfig, ScriptedEngine
from prefdata.inference import Inference
from prefdata.judges.base import Candidates
from prefdata.judges.registry import JUDGES
from prefdata.messages.columns import MESSAGES

Panel = dict[str, list[str]]
"""Prompt -> its responses."""

WHERE = "judge.judges.0"

# What a judge costs hardly depends on how many prompts it has: many prompts and few examples.
panels: st.SearchStrategy[Panel] = st.dictionaries(
    st.text(min_size=1, max_size=20),
    st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=4, unique=True),
    min_size=1,
    max_size=8,
)


def build(kind: str, **settings: Any) -> Any:
    """The judge that params.yaml would describe so, set up."""
    judge = JUDGES.parse({"kind": kind, **settings}, WHERE)
    judge.setup()
    return judge


def hexid(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def candidates(panel: Panel, salt: int = 0, finished: bool = True) -> Candidates:
    """All comparisons of the panel's responses; another `salt` gives all ids and orders anew."""
    prompts, responses, comparisons = [], [], []
    for question, texts in panel.items():
        prompt = hexid(salt, question)
        prompts.append({"prompt_id": prompt, "messages": [{"role": "user", "content": question}]})
        ids = {hexid(salt, question, text): text for text in texts}
        for name, text in ids.items():
            responses.append(
                {"prompt_id": prompt, "response_id": name, "text": text, "finished": finished}
            )
        comparisons += [
            {"prompt_id": prompt, "response_a": a, "response_b": b}
            for a in ids
            for b in ids
            if a < b
        ]
    frames = (
        pl.DataFrame(prompts, schema={"prompt_id": pl.String, "messages": MESSAGES}),
        pl.DataFrame(
            responses,
            schema={
                "prompt_id": pl.String,
                "response_id": pl.String,
                "text": pl.String,
                "finished": pl.Boolean,
            },
        ),
        pl.DataFrame(comparisons, schema=dict.fromkeys(COMPARISON, pl.String)),
    )
    return Candidates(*(f.sample(fraction=1, shuffle=True, seed=salt) for f in frames))


def by_text(found: pl.DataFrame, given: Candidates, column: str = "preference") -> dict[Any, Any]:
    """(prompt, response, other response) -> P(response ≻ other response), both ways round."""
    question = {row["prompt_id"]: row["messages"][0]["content"] for row in given.prompts.to_dicts()}
    text = dict(given.responses.select("response_id", "text").iter_rows())
    result = {}
    for row in found.to_dicts():
        a, b = text[row["response_a"]], text[row["response_b"]]
        value = row[column]
        result[question[row["prompt_id"]], a, b] = value
        result[question[row["prompt_id"]], b, a] = None if value is None else 1 - value
    return result


def scripted(name: str = "policy", **options: Any) -> ScriptedEngine:
    return ScriptedEngine(name, ScriptedConfig(model=name, options=options))


def asking(**engines: Engine) -> Inference:
    return Inference(engines, None)


def unfence(text: str) -> str:
    """What a judge model reads, without the boundaries of its blocks."""
    return re.sub(r"(?m)^(\[[^\[\]\n]+) [0-9a-f]{12}\]$", r"\1]", text)


class Judging(Engine):
    """A judge model that is a function of the message: log p of each option."""

    fingerprint = "judging"

    def __init__(self, choose: Callable[[str], Sequence[float]]) -> None:
        self.name = "judge"
        self.logprobs = choose
        self.read: list[str] = []
        self.sent: list[str] = []
        """The same texts, with the boundaries of their blocks."""

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        messages = rows["messages"].to_list()
        assert all([m["role"] for m in turns] == ["user"] for turns in messages)
        sent = [turns[0]["content"] for turns in messages]
        self.sent += sent
        texts = [unfence(text) for text in sent]
        self.read += texts
        logprobs = [list(self.logprobs(t)) for t in texts]
        yield results("choose", rows["key"], logprobs=logprobs)


class Table(Engine):
    """Log-likelihoods looked up by the completion: (log p, tokens)."""

    def __init__(self, name: str, values: dict[str, tuple[float | None, int]]) -> None:
        self.name = self.fingerprint = name
        self.values = values

    def loglikelihood(
        self, rows: pl.DataFrame, settings: LoglikelihoodSettings
    ) -> Iterator[pl.DataFrame]:
        found = [self.values[text] for text in rows["completion"]]
        yield results(
            "loglikelihood",
            rows["key"],
            logprob=[value[0] for value in found],
            n_tokens=[value[1] for value in found],
            error=[None if value[0] is not None else "too_long: 9 tokens" for value in found],
        )
