"""One question, and what a consensus says of the responses to it."""

from __future__ import annotations

from typing import Any

from consensus.table import VARIANTS, World, build, choose, decide, name, tables

Q = "why?"


def world(rewards: dict[str, dict[str, float | None]], question: str = Q) -> World:
    """judge -> response -> reward, on one question; a judge that is left out gives 0 to all."""
    responses = sorted({a for some in rewards.values() for a in some})
    every = {
        j: rewards.get(j, dict.fromkeys(responses, 0.0))
        for j in ("pairwise", "implicit_reward", "safe")
    }
    flat = {(j, question, a): s for j, some in every.items() for a, s in some.items()}
    return World({question: responses}, flat)


def label(kind: str, given: World, **settings: Any) -> dict[str, Any]:
    """ "xy" -> the preferred response, or the reason."""
    found = choose(
        given, decide(build(kind, **{**VARIANTS.get(kind, {}), **settings}), *tables(given)), 0
    )
    return {"".join(sorted(both)): better or why for (_, both), (better, why, _) in found.items()}


def rows(kind: str, given: World, **settings: Any) -> dict[str, dict[str, Any]]:
    """ "xy" -> the row, its preference that of x (the first in the alphabet)."""
    found = decide(build(kind, **{**VARIANTS.get(kind, {}), **settings}), *tables(given))
    names = {name(0, Q, a): a for a in given.responses[Q]}
    result = {}
    for row in found.to_dicts():
        a, b = names[row["response_a"]], names[row["response_b"]]
        if a > b:
            row["preference"] = 1 - row["preference"]
        result["".join(sorted((a, b)))] = row
    return result
