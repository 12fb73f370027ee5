"""Judgments of a small world for tests of consensus."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prefdata.consensus.base import Consensus, SummaryConsensus
from prefdata.consensus.registry import CONSENSUSES
from prefdata.messages.columns import MESSAGES
from prefdata.parts.judge_names import check_judges
from prefdata.records import Judgment
from prefdata.records.base import fill_columns

DIMENSIONS = {"pairwise": "helpfulness", "implicit_reward": "helpfulness", "safe": "safety"}
"""The judges of a world; those that the consensuses' examples name are among them."""
VARIANTS: dict[str, dict[str, Any]] = {
    "agreement_ranking": {"rankers": ["pairwise", "implicit_reward"]},
    "mixture": {
        "otherwise": ["pairwise", "implicit_reward"],
        "constraints": [{"judge": "safe", "min_reward": -1, "min_preference": 0.3}],
    },
    "noise_aware": {"least_confident": 0.25, "drop": 0.1},
    "strength": {"label": "pairwise"},
}
"""Settings beside the example under which a kind works differently."""


@dataclass
class World:
    """question -> its responses; (judge, question, response) -> reward, or None: it has none.

    A judge prefers by a difference of rewards, which come from a few numbers so that ties come
    about; `against` overrules it for a comparison.
    """

    responses: dict[str, list[str]]
    rewards: dict[tuple[str, str, str], float | None]
    against: dict[tuple[str, str, str, str], float | None] = field(default_factory=dict)

    def prefer(self, judge: str, question: str, a: str, b: str) -> float | None:
        """P(a ≻ b)."""
        for one, other, swapped in ((a, b, False), (b, a, True)):
            if (judge, question, one, other) in self.against:
                p = self.against[judge, question, one, other]
                return None if p is None else 1 - p if swapped else p
        x, y = self.rewards[judge, question, a], self.rewards[judge, question, b]
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
                    p = world.prefer(judge, question, ids[a], ids[b])
                    rows.append(
                        {
                            "prompt_id": prompt,
                            "judge": judge,
                            "dimension": dimension,
                            "response_a": a,
                            "response_b": b,
                            "preference": p,
                            "reward_a": world.rewards[judge, question, ids[a]],
                            "reward_b": world.rewards[judge, question, ids[b]],
                            "unscored": "timeout" if p is None else None,
                        }
                    )
    text = dict.fromkeys(
        ("prompt_id", "judge", "dimension", "response_a", "response_b", "unscored"), pl.String
    )
    number = dict.fromkeys(("preference", "reward_a", "reward_b"), pl.Float64)
    judgments = fill_columns(pl.DataFrame(rows, schema={**text, **number}), Judgment)
    schema = {"prompt_id": pl.String, "messages": MESSAGES, "source": pl.String}
    return (
        judgments.sample(fraction=1, shuffle=True, seed=salt),
        pl.DataFrame(prompts, schema=schema).sample(fraction=1, shuffle=True, seed=salt),
    )


def build(kind: str, **settings: Any) -> Consensus:
    """A consensus from its example and these settings, ready to decide."""
    example = CONSENSUSES.parts[kind].config_type.example if kind in CONSENSUSES.parts else {}
    consensus = CONSENSUSES.parse({"kind": kind, **example, **settings}, "consensus")
    check_judges(consensus, list(DIMENSIONS))
    consensus.setup()
    return consensus


def decide(
    consensus: Consensus, judgments: pl.DataFrame, prompts: pl.DataFrame, buckets: int = 1
) -> pl.DataFrame:
    """All comparisons decided as the stage does it: bucket by bucket, the summaries joined."""
    ids = prompts.select("prompt_id", bucket=pl.col("prompt_id").str.slice(0, 6).hash(7) % buckets)
    parts = []
    for bucket in range(buckets):
        own = ids.filter(pl.col("bucket") == bucket).select("prompt_id")
        parts.append(
            consensus.combine(
                judgments.join(own, on="prompt_id", how="semi"),
                prompts.join(own, on="prompt_id", how="semi"),
            )
        )
    if isinstance(consensus, SummaryConsensus):
        across = pl.concat([consensus.summarize(part) for part in parts])
        parts = [consensus.revise(part, across) for part in parts]
    return pl.concat(parts)


def choose(world: World, decided: pl.DataFrame, salt: int) -> dict[Any, Any]:
    """(question, both responses) -> (the preferred text or None, the reason, the flag)."""
    question = {name(salt, q): q for q in world.responses}
    text = {name(salt, q, a): a for q, responses in world.responses.items() for a in responses}
    result = {}
    for row in decided.to_dicts():
        a, b = text[row["response_a"]], text[row["response_b"]]
        better = None if row["reason"] else a if row["preference"] > 0.5 else b
        key = (question[row["prompt_id"]], frozenset((a, b)))
        result[key] = (better, row["reason"], row["flag"])
    return result
