"""Judgments of a small world for tests of consensus, and settings for every kind of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prefdata.consensus import registry as lookup
from prefdata.consensus.base import Consensus
from prefdata.engines.base import MESSAGES
from prefdata.judges.base import judgments as filled

SETTINGS: dict[str, dict[str, Any]] = {
    "agreement_ranking": {"rankers": ["one", "two"]},
    "bradley_terry": {},
    "general": {},
    "groups": {},
    "hierarchical": {
        "criteria": [{"judge": "one", "margin": 0.2}, {"judge": "two", "margin": 0.05}]
    },
    "log_sigmoid_sum": {"rewards": ["one", "two"]},
    "mean": {},
    "mixture": {
        "kinds": [{"name": "sums", "text": r"\d", "judges": ["one"]}],
        "otherwise": ["one", "two"],
        "constraints": [{"judge": "safe", "min_preference": 0.3}],
    },
    "noise_aware": {"least_confident": 0.25, "drop": 0.1},
    "scir": {},
    "strength": {"label": "one"},
    "weighted_sum": {"weights": {"helpfulness": 0.7, "safety": 0.3}},
}
"""For judges called one and two (helpfulness) and safe (safety)."""

DIMENSIONS = {"one": "helpfulness", "two": "helpfulness", "safe": "safety"}


@dataclass
class World:
    """question -> its responses; (judge, question, response) -> score or None: the judge has none.

    A judge prefers by a rounded difference of scores, so that ties come about.
    """

    responses: dict[str, list[str]]
    scores: dict[tuple[str, str, str], float | None]
    against: dict[tuple[str, str, str, str], float | None] = field(default_factory=dict)

    def said(self, judge: str, question: str, a: str, b: str) -> float | None:
        """P(a ≻ b)."""
        for one, other, turn in ((a, b, False), (b, a, True)):
            if (judge, question, one, other) in self.against:
                p = self.against[judge, question, one, other]
                return None if p is None else 1 - p if turn else p
        x, y = self.scores[judge, question, a], self.scores[judge, question, b]
        if x is None or y is None:
            return None
        return 1 / (1 + 2.718281828 ** -(x - y))


def name(salt: int, *parts: str) -> str:
    """An id; another salt gives others in another order."""
    return hashlib.sha256(repr((salt, parts)).encode()).hexdigest()[:32]


def tables(world: World, salt: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(judgments, prompts) of the world under ids of this salt, in an order of this salt."""
    rows, prompts = [], []
    for question, responses in world.responses.items():
        prompt = name(salt, question)
        message = {"role": "user", "content": question}
        prompts.append({"prompt_id": prompt, "messages": [message], "source": "tests"})
        ids = {name(salt, question, response): response for response in responses}
        for a in ids:
            for b in ids:
                if a >= b:
                    continue
                for judge, dimension in DIMENSIONS.items():
                    p = world.said(judge, question, ids[a], ids[b])
                    rows.append(
                        {
                            "prompt_id": prompt,
                            "judge": judge,
                            "dimension": dimension,
                            "response_a": a,
                            "response_b": b,
                            "preference": p,
                            "reward_a": world.scores[judge, question, ids[a]],
                            "reward_b": world.scores[judge, question, ids[b]],
                            "unscored": "timeout" if p is None else None,
                        }
                    )
    text = dict.fromkeys(
        ("prompt_id", "judge", "dimension", "response_a", "response_b", "unscored"), pl.String
    )
    number = dict.fromkeys(("preference", "reward_a", "reward_b"), pl.Float64)
    said = pl.DataFrame(rows, schema={**text, **number})
    parts = [
        filled(judge, said.filter(pl.col("judge") == judge).drop("judge")) for judge in DIMENSIONS
    ]
    schema = {"prompt_id": pl.String, "messages": MESSAGES, "source": pl.String}
    asked = pl.DataFrame(prompts, schema=schema)
    return (
        pl.concat(parts).sample(fraction=1, shuffle=True, seed=salt),
        asked.sample(fraction=1, shuffle=True, seed=salt),
    )


def build(kind: str, **more: Any) -> Consensus:
    return lookup.build(Part(kind=kind, **{**SETTINGS[kind], **more}), list(DIMENSIONS))


def decided(
    consensus: Consensus, judgments: pl.DataFrame, prompts: pl.DataFrame, buckets: int = 1
) -> pl.DataFrame:
    """The labels as the stage makes them: bucket by bucket, twice where they hang together."""
    ids = prompts.select("prompt_id", bucket=pl.col("prompt_id").str.slice(0, 6).hash(7) % buckets)
    parts = []
    for bucket in range(buckets):
        own = ids.filter(pl.col("bucket") == bucket).select("prompt_id")
        parts.append(
            (
                judgments.join(own, on="prompt_id", how="semi"),
                prompts.join(own, on="prompt_id", how="semi"),
            )
        )
    across = None
    if consensus.across_buckets:
        across = pl.concat([consensus.summarize(consensus.label(*part)) for part in parts])
    return pl.concat([consensus.label(*part, across) for part in parts])


def chosen(world: World, found: pl.DataFrame, salt: int) -> dict[Any, Any]:
    """(question, both responses) -> (the chosen text or None, the reason, the flag)."""
    question = {name(salt, q): q for q in world.responses}
    text = {name(salt, q, a): a for q, responses in world.responses.items() for a in responses}
    result = {}
    for row in found.to_dicts():
        a, b = text[row["response_a"]], text[row["response_b"]]
        better = None if row["reason"] else a if row["preference"] > 0.5 else b
        key = (question[row["prompt_id"]], frozenset((a, b)))
        result[key] = (better, row["reason"], row["flag"])
    return result
