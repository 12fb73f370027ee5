"""Which score predicts which pairs DPO displaces, over kinds of pairs, for displacement.py --kinds.

Displacement is minus the change of log p(chosen):

- `first_order`: in gradient flow on a pair alone, exactly (displacement_scores.py);
- `first_order_relative`: the same over what the chosen response alone would gain, so that pairs of
  any length compare. It is at least -1 where the two responses have something in common;
- `sign_step`: in the first step of Adam on a pair alone, as exactly;
- `own`: of every pair after one epoch of DPO on the pairs of its own kind (AdamW, batches of 4);
- `mixed`: the same after one epoch on all pairs.

A pair is displaced if that is above zero. Every finished step is kept in a folder, so that a run
that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from displacement_pairs import make
from displacement_scores import SCORES, differentiate, measure, score
from displacement_training import Settings, logprobs, train

from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.inference import Inference

TARGETS = ("first_order", "first_order_relative", "sign_step", "own", "mixed")
TRAINED = TARGETS[3:]
LIMITS = (("ches", 0.0), ("similarity", 0.6), ("similarity", 0.9))
"""Scores with limits that pairs may be above."""
_TRAINING = Settings(rate=5e-5, optimizer="adamw", batch=4)


def run(engine: TransformersEngine, data: str, folder: Path, count: int) -> dict[str, Any]:
    """The figures of all kinds of pairs.

    Args:
        engine: The policy.
        data: Where pairs and prompts are taken from.
        folder: Where finished steps are kept.
        count: Pairs of a kind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pairs.parquet"
    if not path.exists():
        made = make(data, Inference({"policy": engine}), count)
        measure(made, engine, 512).write_parquet(path)
    pairs = pl.read_parquet(path)
    pairs = score(pairs, _differentiate_missing(pairs, engine, folder))
    before = _keep(folder / "before.npy", lambda: logprobs(engine, pairs))

    def change(name: str, rows: np.ndarray) -> np.ndarray:
        """The change of log p, (rows, 2), by training on these rows of the pairs."""
        part, known = pairs[rows], before[rows]
        return (
            _keep(
                folder / f"after_{name}.npy",
                lambda: logprobs(engine, part, train(part, known, engine, _TRAINING)),
            )
            - known
        )

    every = np.arange(pairs.height)
    mixed = change("all", every)
    own = np.empty_like(mixed)
    kinds = pairs["kind"].unique(maintain_order=True).to_list()
    for kind in kinds:
        rows = np.flatnonzero(pairs["kind"] == kind)
        own[rows] = change(kind, rows)
    measured = pairs.with_columns(
        mixed=-pl.Series(mixed[:, 0]),
        own=-pl.Series(own[:, 0]),
        mixed_rejected=pl.Series(mixed[:, 1]),
        own_rejected=pl.Series(own[:, 1]),
    )
    return {
        "kinds": [_describe(measured, kind) for kind in kinds],
        "predicts": {target: _judge_scores(measured, target) for target in TARGETS},
        "pairs": pairs.height,
    }


def _keep(path: Path, make_array: Any) -> np.ndarray:
    """The array in the file, else made and kept there."""
    if not path.exists():
        np.save(path, make_array())
    return np.load(path)


def _differentiate_missing(
    pairs: pl.DataFrame, engine: TransformersEngine, folder: Path
) -> pl.DataFrame:
    path = folder / "products.jsonl"
    path.touch()
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    # A line that a kill cut off is written again.
    path.write_bytes(b"".join(lines))
    found = [orjson.loads(line) for line in lines]
    done = {each["pair"] for each in found}
    with path.open("ab") as file:
        for row in differentiate(pairs.filter(~pl.col("pair").is_in(list(done))), engine):
            file.write(orjson.dumps(row) + b"\n")
            file.flush()
            found.append(row)
    return pl.DataFrame(found)


def _describe(pairs: pl.DataFrame, kind: str) -> dict[str, Any]:
    """Of the kind's pairs: how many are above LIMITS, how many are displaced, and how far log p
    moves on average."""
    some = pairs.filter(kind=kind)
    return {
        "kind": kind,
        "pairs": some.height,
        "tokens_chosen": round(float(some["tokens_chosen"].mean()), 1),  # type: ignore[arg-type]
        **{f"{name}_above_{limit:g}": int((some[name] > limit).sum()) for name, limit in LIMITS},
        **{f"displaced_{t}": round(float((some[t] > 0).mean()), 3) for t in TARGETS},  # type: ignore[arg-type]
        **{f"delta_{t}": round(-float(some[t].mean()), 3) for t in TRAINED},  # type: ignore[arg-type]
        **{
            f"delta_rejected_{t}": round(float(some[f"{t}_rejected"].mean()), 3)  # type: ignore[arg-type]
            for t in TRAINED
        },
    }


def _judge_scores(pairs: pl.DataFrame, target: str) -> dict[str, dict[str, float | None]]:
    """How well each score predicts the target: `spearman` over all pairs, `within`, its mean over
    the kinds, and `auc`, the share of pairs of one displaced and one not that it orders rightly."""
    found = {}
    for name in SCORES:
        if name == target:
            continue
        kinds = [_correlate(part, name, target) for part in pairs.partition_by("kind")]
        found[name] = {
            "spearman": _round(_correlate(pairs, name, target)),
            "within": _round(float(np.mean([k for k in kinds if not np.isnan(k)] or [np.nan]))),
            "auc": _round(_area(pairs[name].to_numpy(), pairs[target].to_numpy() > 0)),
        }
    return found


def _correlate(pairs: pl.DataFrame, one: str, other: str) -> float:
    return float(pairs.select(pl.corr(one, other, method="spearman")).item())


def _area(scores: np.ndarray, displaced: np.ndarray) -> float:
    """The area under the ROC curve; NaN where all pairs are of one sort."""
    high, low = scores[displaced][:, None], scores[~displaced][None, :]
    if not high.size or not low.size:
        return float("nan")
    return float(((high > low) + 0.5 * (high == low)).mean())


def _round(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 3)
