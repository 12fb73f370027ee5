"""How far labels can be trusted, against GPT-4 Turbo's and people's.

AlpacaEval responses (39 models), HH transcripts and GSM8K solutions from --data, which are not
shipped. Instructions are split, so every figure is on unseen ones; a pair is two models' responses to
one instruction whose preferences differ by more than 0.3. Intervals are 95 %, by bootstrap over
instructions. Heads are trained by `prefdata reward-head`'s own code on JSONL pairs, judgments come
from the judges of the lookup, embeddings are remembered in --memo. MiniLM runs in bfloat16.

    python benchmarks/labels.py            all instructions
    python benchmarks/labels.py --quick    80 instructions
"""

from __future__ import annotations

import argparse
import gzip
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
from machine import report

from prefdata.engines.config import ModelParams
from prefdata.config.params import RewardHeadParams
from prefdata.consensus import registry as consensuses
from prefdata.consensus.calibration import fit, temper
from prefdata.engines.sentence import SentenceEngine
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.inference import Inference, Memo
from prefdata.judges import registry as judges
from prefdata.judges.base import Candidates
from prefdata.records import Judgment
from prefdata.records.base import completed
from prefdata.records.judgment import HELPFULNESS
from prefdata.reward_head.head import RewardHead, save_head, train_head
from prefdata.sources.rows.transcripts import read_prompt

ROOT = Path(__file__).resolve().parent.parent
MATH = "math_answer"
GAP, MATCHED, RESAMPLES = 0.3, 0.15, 2000
HEADS: dict[str, dict[str, Any]] = {
    "embedding": {"features": ["response", "relevance"]},
    "embedding_length_controlled": {"features": ["response", "relevance"], "control_length": True},
    "surface": {"features": ["surface"]},
    "embedding_and_surface": {"features": ["response", "relevance", "surface"]},
}
L2 = 10.0
ANSWERS_SCORED = 8
"""Of each instruction, where the demo's policy and reference read them too."""


def hashed(text: pl.Expr) -> pl.Expr:
    """A number in [0, 1) that depends on the text alone."""
    return text.chash.sha2_256().str.head(8).str.to_integer(base=16).cast(pl.Float64) / 2**32


def alpaca(data: Path, quick: bool) -> pl.DataFrame:
    """One row a response: prompt_id, response_id, text, model, y (GPT-4 Turbo's), test, unseen."""
    import polars_hash  # noqa: F401  registers `chash`

    rows = pl.read_parquet(data / "alpaca_eval_responses.parquet")
    rows = rows.with_columns(prompt_id=hashed(pl.col("instruction")), group=hashed(pl.col("model")))
    if quick:
        kept = rows["place"].unique().sort().head(80)
        rows = rows.filter(pl.col("place").is_in(kept.implode()))
    share = rows["place"].unique().sort()
    return rows.select(
        "instruction",
        "model",
        text="output",
        y="preference_over_baseline",
        prompt_id=pl.col("instruction").chash.sha2_256().str.head(32),
        response_id=(pl.col("instruction") + "\0" + pl.col("model")).chash.sha2_256().str.head(32),
        test=pl.col("place") < share[int(len(share) * 0.35)],
        unseen=pl.col("group") < pl.Series(rows["group"].unique().sort())[13],
        length=pl.col("output").str.len_chars().cast(pl.Float64).log1p(),
    ).sort("prompt_id", "response_id")


def comparisons(responses: pl.DataFrame) -> pl.DataFrame:
    """Every two responses whose preferences differ enough; `label` is 1 where a is better."""
    side = responses.select("prompt_id", "response_id", "y", "length", "model", "unseen")
    both = side.join(side, on="prompt_id", suffix="_b").filter(
        pl.col("response_id") < pl.col("response_id_b"), (pl.col("y") - pl.col("y_b")).abs() > GAP
    )
    return both.select(
        "prompt_id", "model", "model_b", "unseen", "unseen_b",
        response_a="response_id",
        response_b="response_id_b",
        label=(pl.col("y") > pl.col("y_b")).cast(pl.Float64),
        ratio=pl.col("length") - pl.col("length_b"),
        longer=((pl.col("length") - pl.col("length_b")).sign() + 1) / 2,
        matched=(pl.col("length") - pl.col("length_b")).abs() < MATCHED,
    ).sort("prompt_id", "response_a", "response_b")  # fmt: skip


def agreement(right: np.ndarray, prompt: np.ndarray) -> dict[str, Any]:
    """Share of rights (n,) with its interval over resampled prompts (n, whole numbers)."""
    if not len(right):
        return {"agreement": None, "low": None, "high": None, "pairs": 0}
    shares = resampled(right, prompt)
    low, high = np.nanquantile(shares, [0.025, 0.975])
    return {
        "agreement": round(float(right.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "pairs": len(right),
    }


def resampled(right: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    """(RESAMPLES,) shares of rights, prompts drawn with replacement; the same draws every time."""
    size = int(prompt.max()) + 1
    total = np.bincount(prompt, minlength=size)
    hits = np.bincount(prompt, weights=right, minlength=size)
    draws = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), RESAMPLES)
    return (draws @ hits) / np.maximum(draws @ total, 1)


def rights(p: pl.Series, label: pl.Series) -> np.ndarray:
    """1 where the judgment is right, 0.5 where it prefers neither."""
    odds = p.fill_null(0.5).to_numpy() - 0.5
    return np.where(np.abs(odds) < 1e-9, 0.5, (odds > 0) == (label.to_numpy() > 0.5))


def trained(
    name: str, rows: list[dict[str, Any]], folder: Path, inference: Inference, l2: Any = L2
) -> RewardHead:
    """The head called `name`, trained on JSONL pairs and saved to FOLDER/NAME."""
    path = folder / "pairs.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    config = RewardHeadParams(data=str(path), l2=l2, **HEADS[name])
    head = train_head(str(path), "embedder", config, inference)
    save_head(str(folder / name), head)
    return head


def said(kind: str, candidates: Candidates, inference: Inference, **settings: Any) -> pl.DataFrame:
    """What a judge of the lookup says, in the order of the comparisons."""
    (judge,) = judges.build([Part(kind=kind, **settings)])
    found = judge.judge_all(candidates, inference)
    keys = ["prompt_id", "response_a", "response_b"]
    return candidates.comparisons.select(keys).join(
        found, on=keys, how="left", maintain_order="left"
    )


def candidates_of(responses: pl.DataFrame, compared: pl.DataFrame) -> Candidates:
    """What judges are given."""
    message = pl.struct(role=pl.lit("user"), content="instruction")
    prompts = responses.unique("prompt_id", maintain_order=True)
    return Candidates(
        prompts.select("prompt_id", messages=pl.concat_list(message)),
        responses.select("prompt_id", "response_id", "text", finished=pl.lit(True)),
        compared.select("prompt_id", "response_a", "response_b"),
    )


def pair_rows(
    responses: pl.DataFrame, compared: pl.DataFrame, limit: int, split: str
) -> list[dict[str, Any]]:
    """At most `limit` of the comparisons, drawn by a fixed seed, as rows of a pairs' file."""
    some = compared.sample(min(limit, compared.height), seed=0)
    text = dict(responses.select("response_id", "text").iter_rows())
    asked = dict(responses.select("prompt_id", "instruction").iter_rows())
    rows = []
    for prompt, a, b, label in some.select(
        "prompt_id", "response_a", "response_b", "label"
    ).iter_rows():
        better, worse = (a, b) if label else (b, a)
        rows.append(
            {
                "prompt": [{"role": "user", "content": asked[prompt]}],
                "chosen": [{"role": "assistant", "content": text[better]}],
                "rejected": [{"role": "assistant", "content": text[worse]}],
                "split": split,
            }
        )
    return rows


def on_alpaca(
    responses: pl.DataFrame, folder: Path, inference: Inference, quick: bool
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Every head's agreement on unseen instructions, and the test comparisons with p of each."""
    train, test = (comparisons(responses.filter(pl.col("test") == side)) for side in (False, True))
    limit = 4000 if quick else 20_000
    rows = pair_rows(responses, train, limit, "train")
    rows += pair_rows(responses, test, 500, "heldout")
    judged = candidates_of(responses.filter("test"), test)
    for name in HEADS:
        started = time.monotonic()
        trained(name, rows, folder, inference)
        p = said("embedding_reward", judged, inference, head=str(folder / name))["preference"]
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
    known = pl.col("model").replace_strict(rate) - pl.col("model_b").replace_strict(rate)
    # Length as a judgment of its own: as sure as it was right on the training instructions.
    p = [(1 / (1 + np.exp(-side["ratio"].to_numpy()))) for side in (train, test)]
    temperature = fit(p[0], train["label"].to_numpy()).temperature
    test = test.with_columns(pl.Series("length", temper(p[1], temperature)))
    test = test.with_columns(
        model_identity=(known.sign() + 1) / 2,
        majority=pl.lit(float(train["label"].mean() > 0.5)),
    )
    # Neither the instruction nor the two models were seen.
    new = ~pl.col("unseen") & ~pl.col("unseen_b")
    rows = pair_rows(responses, train.filter(new), limit, "train")
    rows += pair_rows(responses, test, 500, "heldout")
    name = "embedding_and_surface"
    trained(name, rows, folder, inference)
    p = said("embedding_reward", judged, inference, head=str(folder / name))["preference"]
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
        figures[part] = {n: agreement(rights(some[n], some["label"]), prompt) for n in names}
    return figures, test


def on_hh(data: Path, folder: Path, inference: Inference) -> dict[str, Any]:
    """Heads trained on the first 1,400 transcripts, tested on the last 400."""
    with gzip.open(data / "hh_harmless.jsonl.gz") as lines:
        raw = [orjson.loads(line) for line in lines]
    rows = []
    for place, row in enumerate(raw):
        last = {s: row[s].rpartition("\n\nAssistant:")[2].strip() for s in ("chosen", "rejected")}
        if place < 1400 or place >= len(raw) - 400:
            rows.append(
                {
                    "prompt": [{"role": r, "content": c.strip()} for r, c in read_prompt(row)],
                    **{s: [{"role": "assistant", "content": t}] for s, t in last.items()},
                    "split": "train" if place < 1400 else "heldout",
                }
            )
    found = {}
    for name in HEADS:
        head = trained(name, rows, folder, inference, "auto")
        # Every row has a prompt of its own: the binomial interval holds.
        share, n = head.accuracy_heldout, head.pairs_heldout
        half = 1.96 * (share * (1 - share) / n) ** 0.5
        found[name] = {
            "accuracy": round(share, 4),
            "low": round(share - half, 4),
            "high": round(share + half, 4),
            "l2": head.l2,
        }
    return {
        "pairs_train": head.pairs_train,
        "pairs_test": n,
        "longer": round(head.longer_wins_heldout, 4),
        "heads": found,
    }


def on_gsm8k(data: Path) -> dict[str, Any]:
    """The math verifier against is_correct on every solution, and where the two differ."""
    if MATH not in judges.JUDGES:
        return {"agreement": None, "because": f"no judge is called {MATH} in the lookup"}
    with gzip.open(data / "gsm8k_solutions.jsonl.gz") as lines:
        raw = [orjson.loads(line) for line in lines]
    rows = pl.DataFrame(
        [
            {
                "prompt_id": f"{place:05}",
                "response_id": f"{place:05} {model}",
                "instruction": row["question"],
                "reference": row["ground_truth"],
                "text": told["solution"],
                "correct": told["is_correct"],
            }
            for place, row in enumerate(raw)
            for model, told in row.items()
            if isinstance(told, dict)
        ]
    )
    side = rows.select("prompt_id", "response_id")
    every = side.join(side, on="prompt_id", suffix="_b").select(
        "prompt_id", response_a="response_id", response_b="response_id_b"
    )
    judged = candidates_of(rows, every.filter(pl.col("response_a") < pl.col("response_b")))
    references = rows.select("prompt_id", "reference").unique()
    judged = replace(judged, prompts=judged.prompts.join(references, on="prompt_id"))
    found = said(MATH, judged, Inference({}, None))
    scores = pl.concat(
        [found.select(response_id=f"response_{s}", score=f"score_{s}") for s in ("a", "b")]
    )
    scores = scores.group_by("response_id").agg(pl.col("score").drop_nulls().first())
    checked = rows.join(scores, on="response_id", how="left").sort("response_id")
    same = (checked["score"] == checked["correct"].cast(pl.Float64)).fill_null(False)
    return {
        "solutions": rows.height,
        "agreement": round(float(same.mean()), 5),
        "unscored": int(checked["score"].null_count()),
        "disagreements": checked.filter(~same)
        .select(
            "response_id", "score", "correct", end=pl.col("text").str.tail(80),
            reference=pl.col("reference").str.tail(20),
        )
        .to_dicts(),
    }  # fmt: skip


def consensus_pays(
    responses: pl.DataFrame, test: pl.DataFrame, inference: Inference, quick: bool
) -> dict[str, Any]:
    """SCIR over judgments that differ in kind, against each alone at as many pairs."""
    prompts = test["prompt_id"].unique().sort().head(20 if quick else 280)
    of_these = responses.filter(pl.col("prompt_id").is_in(prompts.implode()))
    few = of_these.with_columns(draw=pl.col("response_id").rank().over("prompt_id")).filter(
        pl.col("draw") <= ANSWERS_SCORED
    )
    ids = few["response_id"].implode()
    some = test.filter(pl.col("response_a").is_in(ids), pl.col("response_b").is_in(ids))
    judged = candidates_of(few, some)
    implicit = said("implicit_reward", judged, inference, per_token=True)["preference"]
    some = some.with_columns(implicit.alias("implicit_reward")).drop_nulls("implicit_reward")
    matched = test.filter("matched")
    kinds = ["embedding", "surface", "length"]
    return {
        "embedding_surface_implicit": compared_with_singles(some, [*kinds[:2], "implicit_reward"]),
        "embedding_surface_length": compared_with_singles(test, kinds),
        "embedding_surface_controlled_on_length_matched": compared_with_singles(
            matched, ["embedding", "surface", "embedding_length_controlled"]
        ),
    }


def compared_with_singles(test: pl.DataFrame, names: list[str]) -> dict[str, Any]:
    """Agreement of the pairs SCIR keeps, and of as many by each judgment's own confidence."""
    keys = ["prompt_id", "response_a", "response_b"]
    judgments = test.select(*keys, *names).unpivot(
        names, index=keys, variable_name="judge", value_name="preference"
    )
    judgments = completed(judgments, Judgment).with_columns(dimension=pl.lit(HELPFULNESS))
    prompt = test["prompt_id"].rank("dense").to_numpy().astype(np.int64) - 1
    found: dict[str, Any] = {"pairs": test.height}
    for confidence in (0.5, 0.7, 0.8):
        scir = consensuses.build(
            Part(kind="scir", min_judgments=len(names), min_confidence=confidence)
        )
        decided = test.select(keys).join(
            scir.label(judgments, pl.DataFrame()), on=keys, how="left", maintain_order="left"
        )
        kept = decided["reason"].is_null().to_numpy()
        if not kept.any():
            continue
        right = rights(decided["preference"], test["label"])
        ours = agreement(right[kept], prompt[kept])
        singles = {}
        for name in names:
            sure = (test[name] - 0.5).abs().to_numpy()
            first = np.argsort(-sure, kind="stable")[: int(kept.sum())]
            chosen = np.zeros(len(sure), dtype=bool)
            chosen[first] = True
            alone = rights(test[name], test["label"])
            singles[name] = {
                **agreement(alone[chosen], prompt[chosen]),
                "scir_is_better_by": difference(right, kept, alone, chosen, prompt),
            }
        found[f"min_confidence_{confidence}"] = {"scir": ours, "alone": singles}
    return found


def difference(
    right: np.ndarray, kept: np.ndarray, other: np.ndarray, chosen: np.ndarray, prompt: np.ndarray
) -> dict[str, float]:
    """SCIR's agreement minus the single judgment's, both on the same resampled prompts."""
    size = int(prompt.max()) + 1
    draws = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), RESAMPLES)
    shares = [
        (draws @ np.bincount(prompt[of], weights=hits[of], minlength=size))
        / np.maximum(draws @ np.bincount(prompt[of], minlength=size), 1)
        for hits, of in ((right, kept), (other, chosen))
    ]
    low, high = np.quantile(shares[0] - shares[1], [0.025, 0.975])
    return {
        "difference": round(float(right[kept].mean() - other[chosen].mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
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
            ModelParams(engine="sentence", model="minilm", device="cpu", dtype="bfloat16"),
        ),
        **{
            name: TransformersEngine(name, ModelParams(model=str(ROOT / "demo" / name), **small))
            for name in ("policy", "reference")
        },
    }
    inference = Inference(engines, Memo(given.memo))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hh = on_hh(data, folder, inference)
        responses = alpaca(data, given.quick)
        figures, test = on_alpaca(responses, folder, inference, given.quick)
        pays = consensus_pays(responses, test, inference, given.quick)
    report(
        benchmark="labels",
        quick=given.quick,
        alpaca_eval=figures,
        gsm8k=on_gsm8k(data),
        hh=hh,
        consensus=pays,
        seconds=round(time.monotonic() - started),
    )


if __name__ == "__main__":
    main()
