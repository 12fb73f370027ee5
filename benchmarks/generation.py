"""Generation on the CPU: the engine against transformers' generate called one prompt at a time.

The same prompts, samples, settings and model (the demo policy) in one run; tokens are those that
were generated, seconds exclude loading the model and include everything else.

    python benchmarks/generation.py            64 prompts x 4 samples
    python benchmarks/generation.py --quick     8 prompts x 4 samples
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import orjson
import polars as pl
import torch
from machine import report

from prefdata.engines.base import Sampling
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.inference.keys import request_keys

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Sampling(temperature=0.8, max_tokens=96)
SAMPLES = 4


def requests(count: int) -> pl.DataFrame:
    """SAMPLES requests for each of the first `count` demo prompts."""
    lines = (ROOT / "demo/data/prompts.jsonl").read_bytes().splitlines()
    rows = [orjson.loads(line) for line in lines]
    prompts = [row["prompt"] for row in rows if "prompt" in row]
    # Every other one from the end, so that both kinds of prompts take part.
    step = max(1, len(prompts) // count)
    return pl.DataFrame(
        [
            {"messages": [{"role": "user", "content": prompt}], "sample_index": sample}
            for prompt in prompts[::step][:count]
            for sample in range(SAMPLES)
        ]
    )


def one_at_a_time(engine: TransformersEngine, rows: pl.DataFrame) -> tuple[int, float]:
    """Tokens and seconds of `generate`, one request a call."""
    torch.manual_seed(0)
    tokens = 0
    started = time.monotonic()
    for messages in rows["messages"].to_list():
        encoded = engine.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            output = engine.model.generate(
                **encoded,
                max_new_tokens=SETTINGS.max_tokens,
                do_sample=True,
                temperature=SETTINGS.temperature,
                top_k=0,
                top_p=1.0,
            )
        tokens += output.shape[1] - encoded["input_ids"].shape[1]
    return tokens, time.monotonic() - started


def batched(engine: TransformersEngine, rows: pl.DataFrame) -> tuple[int, float]:
    """Tokens and seconds of the engine."""
    started = time.monotonic()
    keyed = rows.with_columns(
        request_keys(engine.fingerprint, "generate", SETTINGS, rows, ["messages", "sample_index"])
    )
    tokens = sum(int(frame["n_tokens"].sum()) for frame in engine.generate(keyed, SETTINGS))
    return tokens, time.monotonic() - started


def main() -> None:
    """Run both and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="an eighth of the prompts")
    count = 8 if parser.parse_args().quick else 64
    params = TransformersConfig(
        model=str(ROOT / "demo/policy"), dtype="float32", max_batch_tokens=32_768
    )
    engine = TransformersEngine("policy", params)
    engine.start()
    rows = requests(count)
    batched(engine, rows.head(8))
    one_at_a_time(engine, rows.head(2))
    ours, plain = batched(engine, rows), one_at_a_time(engine, rows)
    rates = [tokens / seconds for tokens, seconds in (ours, plain)]
    print(f"engine: {ours[0]} tokens, {ours[1]:.1f} s; one at a time: {plain[0]}, {plain[1]:.1f} s")
    report(
        benchmark="generation",
        requests=rows.height,
        tokens_per_s=round(rates[0]),
        tokens_per_s_one_at_a_time=round(rates[1]),
        speedup=round(rates[0] / rates[1], 2),
    )


if __name__ == "__main__":
    main()
