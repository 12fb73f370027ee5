"""Settings of every consensus: none of them asks a model anything.

By kind, beside each of its own settings the change that is tried.
"""

from __future__ import annotations

SHARED = {
    "min_judgments": "min_judgments: 2",
    "min_confidence": "min_confidence: 0.9",
    "calibration": "calibration: {folder}/calibration.json",
}
_KINDS = "{{name: all, text: '.', judges: [pairwise]}}"

CONSENSUSES: dict[str, dict[str, str]] = {
    "mean": {},
    "scir": {"min_each": "min_each: 0.6"},
    "agreement_ranking": {"rankers": "rankers: [pairwise, implicit_reward]"},
    "bradley_terry": {"prior": "prior: 0.5"},
    "general": {"cycles": "cycles: drop"},
    "groups": {"groups": "groups: [g]", "disagreeing": "disagreeing: flag"},
    "hierarchical": {
        "criteria.judge": "criteria: [{{judge: implicit_reward}}]",
        "criteria.dimension": "criteria: [{{judge: pairwise, dimension: helpfulness}}]",
        "criteria.margin": "criteria: [{{judge: pairwise, margin: 0.2}}]",
    },
    "log_sigmoid_sum": {
        "rewards": "rewards: [implicit_reward]",
        "reference": "rewards: [embedding_reward], reference: 0.7",
    },
    "mixture": {
        "kinds.name": f"kinds: [{_KINDS}]",
        "kinds.source": "kinds: [{{name: all, source: '.', judges: [pairwise]}}]",
        "kinds.text": "kinds: [{{name: why, text: Why, judges: [pairwise]}}]",
        "kinds.judges": "kinds: [{{name: all, text: '.', judges: [implicit_reward]}}]",
        "otherwise": f"kinds: [{_KINDS}], otherwise: [implicit_reward]",
        "constraints.judge": f"kinds: [{_KINDS}], constraints: [{{{{judge: implicit_reward}}}}]",
        "constraints.min_preference": (
            f"kinds: [{_KINDS}], constraints: [{{{{judge: implicit_reward, min_preference: 0.4}}}}]"
        ),
        "constraints.min_reward": (
            f"kinds: [{_KINDS}], constraints: [{{{{judge: implicit_reward, min_reward: 0}}}}]"
        ),
        "unanimous": f"kinds: [{_KINDS}], unanimous: true",
    },
    "noise_aware": {
        "least_confident": "least_confident: 0.3",
        "smoothing": "smoothing: 0.2",
        "drop": "drop: 0.1",
        "unanimous": "unanimous: true",
    },
    "strength": {
        "label": "label: pairwise",
        "flip_below": "flip_below: -2",
        "keep_above": "keep_above: 0.7",
        "max_spread": "max_spread: 0.5",
        "ambiguous": "ambiguous: drop",
        "smoothing": "smoothing: 0.2",
    },
    "weighted_sum": {"weights": "weights: {{pairwise: 2.0, implicit_reward: 1.0}}"},
}
_NEEDED = {
    "hierarchical": "criteria: [{{judge: pairwise}}], ",
    "log_sigmoid_sum": "rewards: [embedding_reward, implicit_reward], ",
    "mixture": f"kinds: [{_KINDS}], ",
    "weighted_sum": "weights: {{pairwise: 1.0}}, ",
}
"""What a kind can't do without, where a shared setting is changed."""


def overrides() -> dict[str, str]:
    """The path of every setting -> the consensus that is tried, as `--set` takes it."""
    found = {}
    for kind, own in CONSENSUSES.items():
        shared = {n: _NEEDED.get(kind, "") + change for n, change in SHARED.items()}
        for name, change in {**shared, **own}.items():
            found[f"judge.consensus.{kind}.{name}"] = (
                f"judge.consensus={{{{kind: {kind}, {change}}}}}"
            )
    return found
