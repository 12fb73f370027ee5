"""Does CHES say which pairs push the chosen response's probability down? DPO on a small model.

As in Section 5 of Unintentional Unalignment (arXiv 2410.08847) and its authors' script: all pairs
are scored by CHES, by minus the normalised edit distance of the responses' tokens and by the inner
product of their last hidden states; a tenth of the pairs around a quantile of the score is
trained on with DPO for one epoch (beta 0.1, RMSprop, batches of 32), and what counts is the mean
change of log p(chosen) over those pairs. Trained by TRL's DPOTrainer. Beside it length-normalised
CHES, which the paper's Section 6 filters by, and minus the number of the chosen response's tokens,
as a check on how much of it all is length.

Not as in the paper: the model (the demo policy, 3.7 million parameters, fine-tuned on some of
these pairs' better responses; the paper has 1 to 8 billion), the data (1,000 pairs of OpenAssistant
and GSM8K; 5,000 of UltraFeedback), and so the learning rates. The rank correlations are ours:

- `spearman`, over single pairs: the displacement is minus d log p(chosen) / dt in the first moment
  of gradient flow on DPO's loss of this pair alone, which Section 4 of the paper is about. Policy
  and reference being the same there, it is beta/2 <g_c, g_r - g_c> with g the gradients of the
  responses' log p, exactly.
- `spearman_per_token`: the same divided by the chosen response's tokens.
- `spearman_trained`: the displacement is minus the change of log p(chosen) of each pair after one
  epoch of DPO on a tenth of all pairs, drawn at random.

    python benchmarks/displacement.py            1,000 pairs; for the highest and the lowest CHES
                                                 two seeds and two learning rates
    python benchmarks/displacement.py --quick    200 pairs, one seed and learning rate

--model and --data take another model and another preference dataset.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import orjson
import polars as pl
import torch
from machine import report

from prefdata.ches.measure import measure_pairs
from prefdata.engines import chat
from prefdata.engines.base import LoglikelihoodSettings
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.inference import Inference

ROOT = Path(__file__).resolve().parent.parent
BETA = 0.1
MEASURES = ("ches", "ches_normalized", "minus_edit_distance", "last_hidden_inner_product")
RATE = 1e-5
MAX_TOKENS = 512
"""The paper's; it cuts longer ones off, here they are left out."""

SIDES = ("chosen", "rejected")


def read(path: str, count: int) -> pl.DataFrame:
    """`count` pairs spread over the file: pair, messages, chosen, rejected (texts)."""
    import gzip

    lines = gzip.open(path).read().splitlines()
    rows = [orjson.loads(line) for line in lines]
    rows = rows[:: max(1, len(rows) // count)][:count]
    return pl.DataFrame(
        {
            "pair": [f"{n:08x}" for n in range(len(rows))],
            "messages": [row["prompt"] for row in rows],
            "chosen": [row["chosen"][0]["content"] for row in rows],
            "rejected": [row["rejected"][0]["content"] for row in rows],
        }
    )


def responses(pairs: pl.DataFrame) -> pl.DataFrame:
    """Two rows per pair: response_id, prompt_id, messages, text, finished."""
    sides = [
        pairs.select(
            response_id=pl.col("pair") + side, prompt_id="pair", messages="messages", text=side
        )
        for side in SIDES
    ]
    return pl.concat(sides).with_columns(finished=True)


def scored(pairs: pl.DataFrame, engine: TransformersEngine) -> pl.DataFrame:
    """The pairs of at most MAX_TOKENS, with MEASURES, tokens and prompt, the prompt's tokens."""
    both = [[engine.encoder.encode_content(text) for text in pairs[side]] for side in SIDES]
    prompts = [len(prompt) for prompt in chat.Prompts(engine.encoder, pairs).ids]
    distances = [edit_distance(*texts) for texts in zip(*both, strict=True)]
    # A response that is finished has its end besides.
    longest = [max(map(len, texts)) + 1 for texts in zip(*both, strict=True)]
    short = pairs.with_columns(
        minus_edit_distance=-pl.Series(distances),
        prompt=pl.Series(prompts),
        chosen_id=pl.col("pair") + "chosen",
        rejected_id=pl.col("pair") + "rejected",
    ).filter(pl.Series(longest) + pl.Series(prompts) <= MAX_TOKENS)
    inference = Inference({"policy": engine}, None)
    found = measure_pairs("policy", responses(short), short, inference)
    return found.filter(pl.col("fault").is_null()).with_columns(
        minus_tokens=-pl.col("tokens_chosen").cast(pl.Int64)
    )


def edit_distance(one: list[int], other: list[int]) -> float:
    """Levenshtein distance of the tokens, divided by the longer one's number of them."""
    row = np.arange(len(other) + 1)
    target = np.array(other)
    for i, token in enumerate(one, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (target != token))
        steps = np.arange(1, len(other) + 1)
        # An insertion costs one a place: a running minimum once the places are taken off.
        best = np.minimum.accumulate(np.concatenate(([i], best - steps)))
        row = best + np.arange(len(other) + 1)
    return float(row[-1]) / max(len(one), len(other), 1)


def logprobs(engine: TransformersEngine, model: Any, pairs: pl.DataFrame) -> np.ndarray:
    """log p(chosen) of each pair under the model."""
    asked = responses(pairs).head(pairs.height).rename({"text": "completion"})
    engine.model, kept = model, engine.model
    try:
        rows = asked.with_columns(key=pl.Series([p.encode() for p in pairs["pair"]]))
        frames = pl.concat(list(engine.score(rows, LoglikelihoodSettings())))
    finally:
        engine.model = kept
    joined = rows.select("key").join(frames, on="key", how="left", maintain_order="left")
    return joined["logprob"].to_numpy()


def trained(pairs: pl.DataFrame, model: str, rate: float, seed: int) -> Any:
    """The model after one epoch of TRL's DPO on the pairs."""
    import transformers
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    transformers.utils.logging.set_verbosity_error()
    rows = [
        {
            "prompt": messages,
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
        }
        for messages, chosen, rejected in pairs.select("messages", "chosen", "rejected").iter_rows()
    ]
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        settings = DPOConfig(
            output_dir=folder,
            beta=BETA,
            learning_rate=rate,
            lr_scheduler_type="constant",
            optim="rmsprop",
            # Batches of 32; a pair at a time is less padding than several.
            per_device_train_batch_size=1,
            gradient_accumulation_steps=32,
            num_train_epochs=1,
            max_length=None,
            bf16=False,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            gradient_checkpointing=False,
        )
        trainer = DPOTrainer(
            model=loaded,
            args=settings,
            train_dataset=Dataset.from_list(rows),
            processing_class=transformers.AutoTokenizer.from_pretrained(model),
        )
        trainer.train()
    return trainer.model.eval()


def around(pairs: pl.DataFrame, measure: str, quantile: float, count: int) -> pl.DataFrame:
    """The `count` pairs around a quantile of the measure, as the authors' script cuts them."""
    ordered = pairs.sort(measure, "pair")
    middle = round(quantile * (ordered.height - 1))
    start = min(max(0, middle - count // 2), ordered.height - count)
    return ordered.slice(start, count)


def first_moments(pairs: pl.DataFrame, engine: TransformersEngine) -> np.ndarray:
    """Minus d log p(chosen) / dt of each pair alone, as `spearman` has it."""
    model = engine.model
    weights = [w for w in model.parameters() if w.requires_grad]
    prompts = chat.Prompts(engine.encoder, pairs).ids
    end = engine.encoder.find_end_of_turn().ids
    found = []
    for prompt, chosen, rejected in zip(prompts, pairs["chosen"], pairs["rejected"], strict=True):
        gradients = []
        for text in (chosen, rejected):
            response = engine.encoder.encode_content(text) + end
            ids = torch.tensor([prompt + response])
            logits = model(ids, logits_to_keep=len(response) + 1).logits[0, :-1]
            logprob = logits.log_softmax(-1).gather(-1, torch.tensor(response)[:, None]).sum()
            gradients.append(torch.autograd.grad(logprob, weights))
        up, down = gradients
        found.append(sum(float((c * (r - c)).sum()) for c, r in zip(up, down, strict=True)))
    return BETA / 2 * np.array(found)


def spearman(pairs: pl.DataFrame, displacement: np.ndarray) -> dict[str, float]:
    """Rank correlation of each measure with the displacement."""
    frame = pairs.with_columns(displacement=pl.Series(displacement))
    return {
        name: round(float(frame.select(pl.corr(name, "displacement", method="spearman")).item()), 4)
        for name in (*MEASURES, "minus_tokens")
    }


def main() -> None:
    """Score, train, correlate and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 pairs, one seed, one rate")
    parser.add_argument("--model", default=str(ROOT / "demo/policy"))
    parser.add_argument("--data", default=str(ROOT / "demo/data/preferences.jsonl.gz"))
    given = parser.parse_args()
    started = time.monotonic()
    wanted = [("ches", q, RATE, seed) for q in (0.0, 1.0) for seed in (0, 1)]
    wanted += [("ches", 0.5, RATE, 0)]
    wanted += [(m, q, RATE, 0) for m in MEASURES[1:] for q in (0.0, 1.0)]
    wanted += [("ches", q, RATE / 10, 0) for q in (0.0, 1.0)]
    if given.quick:
        wanted = [(m, q, RATE, 0) for m in MEASURES[:2] for q in (0.0, 1.0)]
    engine = TransformersEngine("policy", TransformersConfig(model=given.model, dtype="float32"))
    engine.start()
    pairs = scored(read(given.data, 200 if given.quick else 1000), engine)
    count = max(20, pairs.height // 10)
    before = dict(zip(pairs["pair"], logprobs(engine, engine.model, pairs), strict=True))

    def change(part: pl.DataFrame, rate: float, seed: int) -> np.ndarray:
        model = trained(part, given.model, rate, seed)
        return logprobs(engine, model, part) - np.array([before[p] for p in part["pair"]])

    alone = first_moments(pairs, engine)
    print(
        f"{time.monotonic() - started:.0f} s, each pair alone: {spearman(pairs, alone)}", flush=True
    )
    mixed = pairs.sample(count, seed=1)
    in_training = -change(mixed, RATE, 0)
    changes = []
    for measure, quantile, rate, seed in wanted:
        part = around(pairs, measure, quantile, count)
        deltas = change(part, rate, seed)
        changes.append(
            {
                "measure": measure,
                "quantile": quantile,
                "rate": rate,
                "seed": seed,
                "delta": round(float(deltas.mean()), 4),
                "delta_per_token": round(float((deltas / part["tokens_chosen"]).mean()), 5),
                "falling": round(float((deltas < 0).mean()), 3),
                "tokens_chosen": round(float(part["tokens_chosen"].mean()), 1),  # type: ignore[arg-type]
            }
        )
        print(changes[-1], flush=True)

    def delta(quantile: float) -> list[float]:
        return [
            c["delta"]
            for c in changes
            if (c["measure"], c["quantile"], c["rate"]) == ("ches", quantile, RATE)
        ]

    report(
        benchmark="displacement",
        spearman=spearman(pairs, alone),
        spearman_per_token=spearman(pairs, alone / pairs["tokens_chosen"].to_numpy()),
        spearman_trained=spearman(mixed, in_training),
        delta_high=round(float(np.mean(delta(1.0))), 4),
        delta_low=round(float(np.mean(delta(0.0))), 4),
        falling=round(float((alone > 0).mean()), 4),
        changes=changes,
        pairs=pairs.height,
        part=count,
        seconds=round(time.monotonic() - started),
    )


if __name__ == "__main__":
    main()
