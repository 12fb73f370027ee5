"""What the reward head is made of beside embeddings: surface, control of length, the penalty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judges.panels import asking, build, by_text, candidates, scripted
from reward_head.test_reward_head import SETTINGS, row, train, write

from prefdata.reward_head.files import save_head
from prefdata.reward_head.training import L2_GRID, fit_head
from prefdata.text.features import NAMES


@pytest.fixture(autouse=True)
def sklearn() -> None:
    pytest.importorskip("sklearn", reason="the extra [embeddings] is not installed")


def worded(count: int = 60) -> list[dict[str, Any]]:
    """Good responses are longer, and have a list; whether they have one decides alone."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        sizes = rng.integers(5, 60, 2)
        lists = i % 2 == 0
        texts = ["word " * int(n) for n in sizes]
        texts[0] = texts[0] + ("x" * 60 if not lists else "\n- one\n- two\n- three")
        rows.append(row(f"Question {i}?", *texts, split="heldout" if i % 5 == 0 else "train"))
    return rows


def test_surface_features_are_weighed_by_name_and_survive_the_file(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"features": ["surface"]})
    path = write(tmp_path / "pairs.jsonl", worded())
    head = train(path, settings)
    assert len(head.weights) == len(head.spread) == len(NAMES)
    assert dict(zip(NAMES, head.weights, strict=True))["lists"] > 0
    assert head.accuracy_heldout > 0.8
    save_head(str(tmp_path), head)
    panel = {"Why?": ["word word\n- one\n- two\n- three", "word word word word"]}
    given_ = candidates(panel)
    judge = build("embedding_reward", head=str(tmp_path))
    found = by_text(judge.judge(given_, asking(embedder=scripted("embedder"))), given_)
    assert found["Why?", *panel["Why?"]] > 0.5


def test_with_length_controlled_more_length_earns_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [
        # Alike but for the length, which decides.
        row(
            f"Question {i}?",
            "word " * int(n + 20),
            "word " * int(n),
            split="heldout" if i < 5 else "train",
        )
        for i, n in enumerate(rng.integers(5, 60, 60))
    ]
    path = write(tmp_path / "pairs.jsonl", rows)
    settings = SETTINGS.model_copy(update={"features": ["surface"]})
    free = train(path, settings)
    settings = settings.model_copy(update={"control_length": True})
    controlled = train(path, settings)
    assert free.accuracy_heldout == 1
    assert len(controlled.weights) == len(NAMES) - 1
    assert np.abs(controlled.weights).max() < 1e-6


def test_the_penalty_is_chosen_by_prompts_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", worded())
    settings = SETTINGS.model_copy(update={"l2": "auto"})
    heads = [train(path, settings) for _ in range(2)]
    assert heads[0] == heads[1]
    assert heads[0].l2 in L2_GRID


def test_a_pair_either_way_round_counts_the_same() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    difference = rng.normal(size=(40, 5))
    both = np.vstack([difference, -difference])
    plain = LogisticRegression(C=1 / (2.0 * 5), fit_intercept=False, tol=1e-10)
    plain.fit(both, np.repeat([1, 0], 40))
    assert np.allclose(fit_head(difference, 2.0), plain.coef_[0], atol=1e-5)
