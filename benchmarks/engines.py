"""Engines through the pipeline against the same requests given straight to what they stand on.

vLLM: the demo policy on the CPU build, 8 samples a prompt, through Inference as the generate stage
asks (keys, engine, memo, commits) and through `vllm.LLM.generate`, in one process and with one
loaded model. Both get the same prompts, seeds and limits and make the same tokens; the prompts go
in eight parts, each asked both ways, who comes first changing from part to part, the prefix cache
emptied before. LLM.generate is given the prompts as finished texts; the pipeline also applies the
chat template.

A server: see engines_server.py, which this runs too.

    make bench-vllm
    python benchmarks/engines.py            2,400 requests
    python benchmarks/engines.py --quick      480 requests
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import orjson
import polars as pl
from engines_server import measure_fake
from machine import report

from prefdata.engines.base import Sampling, request_key_seed
from prefdata.engines.vllm.config import VllmConfig
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.inference import Inference, Memo
from prefdata.inference.keys import request_keys

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Sampling(temperature=0.8, max_tokens=64)
SAMPLES = 8
PARTS = 8


def requests(prompts: list[str]) -> pl.DataFrame:
    """SAMPLES requests for each prompt, as the generate stage makes them."""
    rows = [
        {
            "prompt_id": f"{i:032x}",
            "messages": [{"role": "user", "content": prompt}],
            "sample_index": n,
        }
        for i, prompt in enumerate(prompts)
        for n in range(SAMPLES)
    ]
    return pl.DataFrame(rows)


def through_the_pipeline(engine: VllmEngine, rows: pl.DataFrame) -> int:
    """Tokens that were generated."""
    with tempfile.TemporaryDirectory() as folder:
        inference = Inference({"policy": engine}, Memo(folder))
        return int(inference.ask("policy", "generate", SETTINGS, rows)["n_tokens"].sum())


def straight(engine: VllmEngine, texts: list[str], seeds: list[int]) -> int:
    """Tokens that `vllm.LLM.generate` made of the same prompts and seeds."""
    from vllm import SamplingParams

    assert engine.model is not None
    params = [
        SamplingParams(
            temperature=SETTINGS.temperature, max_tokens=SETTINGS.max_tokens, seed=seed, logprobs=0
        )
        for seed in seeds
    ]
    prompts: Any = texts
    outputs = engine.model.loop.core.llm.generate(prompts, params, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs)


def vllm_figures(prompts: list[str]) -> dict[str, Any]:
    """Tokens a second both ways, and their ratio."""
    options = {"enforce_eager": True, "kv_cache_memory_bytes": 512 << 20}
    params = VllmConfig(model=str(ROOT / "demo/policy"), dtype="float32", options=options)
    engine = VllmEngine("policy", params)
    engine.start()
    assert engine.model is not None
    spent = {"pipeline": [0.0, 0.0], "straight": [0.0, 0.0]}
    made = {"pipeline": 0, "straight": 0}
    # The first requests compile what vLLM compiles when it is first needed.
    through_the_pipeline(engine, requests(prompts[:4]))
    straight(engine, ["Why?"] * 8, list(range(8)))
    for part in range(PARTS):
        rows = requests(prompts[part::PARTS])
        texts = [
            engine.model.tokenizer.apply_chat_template(
                m, add_generation_prompt=True, tokenize=False
            )
            for m in rows["messages"].to_list()
        ]
        keys = request_keys(
            engine.fingerprint, "generate", SETTINGS, rows, ["messages", "sample_index"]
        )
        seeds = [request_key_seed(key) for key in keys]
        for way in ("pipeline", "straight") if part % 2 == 0 else ("straight", "pipeline"):
            engine.model.loop.core.llm.reset_prefix_cache()
            wall, cpu = time.monotonic(), time.process_time()
            if way == "pipeline":
                tokens = through_the_pipeline(engine, rows)
            else:
                tokens = straight(engine, texts, seeds)
            wall, cpu = time.monotonic() - wall, time.process_time() - cpu
            print(f"part {part + 1}, {way}: {tokens} tokens, {wall:.1f} s, {cpu:.1f} CPU s")
            made[way] += tokens
            spent[way] = [spent[way][0] + wall, spent[way][1] + cpu]
    engine.close()
    rate = {way: made[way] / spent[way][0] for way in made}
    cpu_rate = {way: made[way] / spent[way][1] for way in made}
    return {
        "vllm_requests": len(prompts) * SAMPLES,
        "vllm_tokens": made["pipeline"],
        "vllm_tokens_straight": made["straight"],
        "vllm_tokens_per_s": round(rate["pipeline"]),
        "vllm_tokens_per_s_straight": round(rate["straight"]),
        "vllm_ratio": round(rate["pipeline"] / rate["straight"], 3),
        "vllm_ratio_cpu_time": round(cpu_rate["pipeline"] / cpu_rate["straight"], 3),
    }


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the prompts")
    quick = parser.parse_args().quick
    if importlib.util.find_spec("vllm") is None:
        raise SystemExit("vLLM is not installed here: `make bench-vllm` runs this in .venv-vllm")
    lines = (ROOT / "demo/data/prompts.jsonl").read_bytes().splitlines()
    prompts = [row["prompt"] for row in map(orjson.loads, lines) if "prompt" in row]
    figures = vllm_figures(prompts[: 60 if quick else 300])
    report(benchmark="engines", **figures, **measure_fake(quick))


if __name__ == "__main__":
    main()
