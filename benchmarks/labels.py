"""How far labels can be trusted, compared with those of GPT-4 Turbo and of human annotators.

AlpacaEval responses (39 models), HH transcripts and GSM8K solutions from --data, which are not
shipped. Instructions are split, so every figure is on unseen ones; a pair is two models' responses
to one instruction whose preferences differ by more than 0.3. Intervals are 95 %, by bootstrap over
instructions. Heads are trained by `prefdata reward-head`'s own code on JSONL pairs, judgments come
from the judges of the registry, embeddings are kept in --memo. MiniLM runs in bfloat16.

    python benchmarks/labels.py            all instructions
    python benchmarks/labels.py --quick    80 instructions
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import orjson
import polars as pl
from label_data import (
    build_candidates,
    compare_responses,
    read_alpaca,
    read_gsm8k,
    read_hh,
    sample_pairs,
)
from label_figures import compare_with_singles, measure_agreement, score_judgments
from machine import report

from prefdata.comparisons.keys import COMPARISON
from prefdata.consensus.calibration import fit_temperature, temper
from prefdata.engines.sentence import SentenceConfig, SentenceEngine
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.inference import Inference, Memo
from prefdata.judges.base import Candidates
from prefdata.judges.registry import JUDGES
from prefdata.reward_head.config import RewardHeadParams
from prefdata.reward_head.files import save_head
from prefdata.reward_head.head import RewardHead
from prefdata.reward_head.training import train_head
from prefdata.statistics.odds import sigmoid

ROOT = Path(__file__).resolve().parent.parent
MATH = "math_answer"
HEADS: dict[str, dict[str, Any]] = {
    "embedding": {"features": ["response", "relevance"]},
    "embedding_length_controlled": {"features": ["response", "relevance"], "control_length": True},
    "surface": {"features": ["surface"]},
    "embedding_and_surface": {"features": ["response", "relevance", "surface"]},
}
L2 = 10.0
RESPONSES_SCORED = 8
"""Of each instruction, where the demo's policy and reference read them too."""


def train_on(
    name: str, rows: list[dict[str, Any]], folder: Path, inference: Inference, l2: Any = L2
) -> RewardHead:
    """The head called `name`, trained on JSONL pairs and saved to FOLDER/NAME."""
    path = folder / "pairs.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    params = RewardHeadParams(data=str(path), model="embedder", l2=l2, **HEADS[name])
    head = train_head(params, inference)
    save_head(str(folder / name), head)
    return head


def judge(kind: str, candidates: Candidates, inference: Inference, **settings: Any) -> pl.DataFrame:
    """The judgments of a kind of judge, in the order of the comparisons."""
    part = JUDGES.parse({"kind": kind, **settings})
    part.setup()
    judgments = part.judge_all(candidates, inference)
    return candidates.comparisons.select(COMPARISON).join(
        judgments, on=COMPARISON, how="left", maintain_order="left"
    )


def measure_on_alpaca(
    responses: pl.DataFrame, folder: Path, inference: Inference, quick: bool
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Every head's agreement on unseen instructions, and the test comparisons with p of each."""
    train, test = (
        compare_responses(responses.filter(pl.col("test") == side)) for side in (False, True)
    )
    limit = 4000 if quick else 20_000
    rows = sample_pairs(responses, train, limit, "train")
    rows += sample_pairs(responses, test, 500, "heldout")
    judged = build_candidates(responses.filter("test"), test)
    for name in HEADS:
        started = time.monotonic()
        train_on(name, rows, folder, inference)
        p = judge("embedding_reward", judged, inference, head=str(folder / name))["preference"]
        test = test.with_columns(p.alias(name))
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    # Knowing who answers, and nothing of the response: how often a model wins in training.
    wins = pl.concat(
        [
            train.select(model="model", won="label"),
            train.select(model="model_b", won=1 - pl.col("label")),
        ]
    )
    rate = dict(wins.group_by("model").agg(pl.col("won").mean()).iter_rows())
    rates = pl.col("model").replace_strict(rate) - pl.col("model_b").replace_strict(rate)
    # Length as a judgment of its own: as sure as it was right on the training instructions.
    p = [sigmoid(side["ratio"].to_numpy()) for side in (train, test)]
    temperature = fit_temperature(p[0], train["label"].to_numpy()).temperature
    test = test.with_columns(pl.Series("length", temper(p[1], temperature)))
    test = test.with_columns(
        model_identity=(rates.sign() + 1) / 2,
        majority=pl.lit(float(train["label"].mean() > 0.5)),
    )
    # Neither the instruction nor the two models were seen.
    new = ~pl.col("unseen") & ~pl.col("unseen_b")
    rows = sample_pairs(responses, train.filter(new), limit, "train")
    rows += sample_pairs(responses, test, 500, "heldout")
    name = "embedding_and_surface"
    train_on(name, rows, folder, inference)
    p = judge("embedding_reward", judged, inference, head=str(folder / name))["preference"]
    foreign = test.with_columns(p.alias(name)).filter("unseen", "unseen_b")
    figures: dict[str, Any] = {
        "instructions_train": train["prompt_id"].n_unique(),
        "instructions_test": test["prompt_id"].n_unique(),
        "pairs_to_learn_from": train.height,
        "pairs_learned_from": min(limit, train.height),
        "l2": L2,
    }
    for part, some in (
        ("all", test),
        ("length_matched", test.filter("matched")),
        ("unseen_models", foreign),
        ("unseen_models_length_matched", foreign.filter("matched")),
    ):
        prompt = some["prompt_id"].rank("dense").to_numpy().astype(np.int64) - 1
        names = ["majority", "longer", "model_identity", *HEADS]
        if part.startswith("unseen"):
            names = ["longer", name]
        figures[part] = {
            n: measure_agreement(score_judgments(some[n], some["label"]), prompt) for n in names
        }
    return figures, test


def measure_on_hh(data: Path, folder: Path, inference: Inference) -> dict[str, Any]:
    """Heads trained on the first 1,400 transcripts, tested on the last 400."""
    rows, heads = read_hh(data), {}
    for name in HEADS:
        head = train_on(name, rows, folder, inference, "auto")
        # Every row has a prompt of its own: the binomial interval holds.
        share, n = head.accuracy_heldout, head.pairs_heldout
        half = 1.96 * (share * (1 - share) / n) ** 0.5
        heads[name] = {
            "accuracy": round(share, 4),
            "low": round(share - half, 4),
            "high": round(share + half, 4),
            "l2": head.l2,
        }
    return {
        "pairs_train": head.pairs_train,
        "pairs_test": n,
        "longer": round(head.longer_wins_heldout, 4),
        "heads": heads,
    }


def measure_on_gsm8k(data: Path) -> dict[str, Any]:
    """The math verifier against is_correct on every solution, and where the two differ."""
    rows = read_gsm8k(data)
    side = rows.select("prompt_id", "response_id")
    every = side.join(side, on="prompt_id", suffix="_b").select(
        "prompt_id", response_a="response_id", response_b="response_id_b"
    )
    candidates = build_candidates(rows, every.filter(pl.col("response_a") < pl.col("response_b")))
    truths = rows.select("prompt_id", "ground_truth").unique()
    prompts = candidates.prompts.join(truths, on="prompt_id")
    judgments = judge(MATH, replace(candidates, prompts=prompts), Inference({}, None))
    rewards = pl.concat(
        [judgments.select(response_id=f"response_{s}", reward=f"reward_{s}") for s in ("a", "b")]
    )
    rewards = rewards.group_by("response_id").agg(pl.col("reward").drop_nulls().first())
    checked = rows.join(rewards, on="response_id", how="left").sort("response_id")
    right = (checked["reward"] == checked["correct"].cast(pl.Float64)).fill_null(False)
    return {
        "solutions": rows.height,
        "agreement": round(float(right.mean()), 5),
        "unscored": int(checked["reward"].null_count()),
        "disagreements": checked.filter(~right)
        .select(
            "response_id", "reward", "correct", end=pl.col("text").str.tail(80),
            ground_truth=pl.col("ground_truth").str.tail(20),
        )
        .to_dicts(),
    }  # fmt: skip


def measure_consensus(
    responses: pl.DataFrame, test: pl.DataFrame, inference: Inference, quick: bool
) -> dict[str, Any]:
    """SCIR over judgments that differ in kind, against each alone at as many pairs."""
    prompts = test["prompt_id"].unique().sort().head(20 if quick else 280)
    of_these = responses.filter(pl.col("prompt_id").is_in(prompts.implode()))
    few = of_these.with_columns(draw=pl.col("response_id").rank().over("prompt_id")).filter(
        pl.col("draw") <= RESPONSES_SCORED
    )
    ids = few["response_id"].implode()
    some = test.filter(pl.col("response_a").is_in(ids), pl.col("response_b").is_in(ids))
    judged = build_candidates(few, some)
    implicit = judge("implicit_reward", judged, inference, per_token=True)["preference"]
    some = some.with_columns(implicit.alias("implicit_reward")).drop_nulls("implicit_reward")
    matched = test.filter("matched")
    kinds = ["embedding", "surface", "length"]
    return {
        "embedding_surface_implicit": compare_with_singles(some, [*kinds[:2], "implicit_reward"]),
        "embedding_surface_length": compare_with_singles(test, kinds),
        "embedding_surface_controlled_on_length_matched": compare_with_singles(
            matched, ["embedding", "surface", "embedding_length_controlled"]
        ),
    }


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="80 instructions")
    parser.add_argument("--data", default=str(ROOT.parent / "shared" / "data"), help="folder")
    parser.add_argument("--memo", default=str(ROOT / "data" / "memo"), help="folder")
    given = parser.parse_args()
    data = Path(given.data)
    if not (data / "alpaca_eval_responses.parquet").is_file():
        raise SystemExit(f"{data}: no alpaca_eval_responses.parquet; name its folder with --data")
    started = time.monotonic()
    small = {"dtype": "float32", "max_batch_tokens": 32_768}
    engines: dict[str, Any] = {
        "embedder": SentenceEngine(
            "embedder",
            SentenceConfig(model="minilm", device="cpu", dtype="bfloat16"),
        ),
        **{
            name: TransformersEngine(
                name, TransformersConfig(model=str(ROOT / "demo" / name), **small)
            )
            for name in ("policy", "reference")
        },
    }
    inference = Inference(engines, Memo(given.memo))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hh = measure_on_hh(data, folder, inference)
        responses = read_alpaca(data, given.quick)
        figures, test = measure_on_alpaca(responses, folder, inference, given.quick)
        consensus = measure_consensus(responses, test, inference, given.quick)
    report(
        benchmark="labels",
        quick=given.quick,
        alpaca_eval=figures,
        gsm8k=measure_on_gsm8k(data),
        hh=hh,
        consensus=consensus,
        seconds=round(time.monotonic() - started),
    )


if __name__ == "__main__":
    main()
