"""Train the demo's policy, reference checkpoint and tokenizer on a CPU."""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from evaluation import measure, weighted_loss
from mixture import Example, batches, build_mixture, training_examples
from model_card import model_card
from tokenizer import MAX_LENGTH, VOCAB_SIZE, check_tokenizer, train_tokenizer
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

BATCH_TOKENS = 2048
PEAK_LEARNING_RATE = 1.5e-3
WARMUP = 0.03
FINAL_SHARE = 0.05
REFERENCE_AT = 0.4
REPORT_SECONDS = 30.0
MAX_WEIGHT_BYTES = 8_000_000


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained policy."""
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def learning_rate(progress: float) -> float:
    """Linear warm-up, then a cosine down to a small share of the peak."""
    if progress < WARMUP:
        return PEAK_LEARNING_RATE * max(progress, 1e-4) / WARMUP
    cosine = 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))
    return PEAK_LEARNING_RATE * (FINAL_SHARE + (1 - FINAL_SHARE) * cosine)


def endless_batches(examples: list[Example], seed: int) -> Iterator[list[Example]]:
    """Pass after pass over the examples, each in another order."""
    rng = random.Random(seed)
    while True:
        yield from batches(examples, BATCH_TOKENS, rng)


def optimizer_for(model: LlamaForCausalLM) -> torch.optim.AdamW:
    """AdamW with weight decay on the matrices only."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95))


def train(
    model: LlamaForCausalLM,
    examples: list[Example],
    args: argparse.Namespace,
    save_reference: Callable[[], None],
) -> dict[str, int]:
    """Train for the given minutes or steps; the number of steps in all and at the reference."""
    optimizer = optimizer_for(model)
    # Divided by the mean weight of a batch, not its own: else a batch of long judging examples,
    # which holds two or three letters, would pull as hard as one of two hundred answer tokens.
    total_weight = sum(sum(example.weights) for example in examples)
    total_tokens = sum(len(example.ids) for example in examples)
    mean_weight = total_weight * BATCH_TOKENS / total_tokens
    started = reported = time.monotonic()
    step = reference_step = 0
    running = 0.0
    for batch in endless_batches(examples, args.seed):
        elapsed = time.monotonic() - started
        progress = step / args.steps if args.steps else elapsed / (60 * args.minutes)
        if progress >= REFERENCE_AT and not reference_step:
            save_reference()
            reference_step = step
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress)
        total, weight = weighted_loss(model, batch)
        (total / mean_weight).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss = total.item() / weight
        running = loss if step == 0 else 0.98 * running + 0.02 * loss
        step += 1
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            print(f"{progress:4.0%} step {step} loss {running:.3f} {elapsed:.0f} s", flush=True)
    return {"steps": step, "reference_steps": reference_step}


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a checkpoint in bfloat16 with its tokenizer, replacing what the folder held."""
    shutil.rmtree(folder, ignore_errors=True)
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.generation_config = model.generation_config
    half.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = folder / "model.safetensors"
    # It is written for its owner only.
    weights.chmod(0o644)
    size = weights.stat().st_size
    if size > MAX_WEIGHT_BYTES:
        raise ValueError(f"the weights take {size} bytes, more than {MAX_WEIGHT_BYTES}")


def publish(new: Path, folder: Path) -> None:
    """Put a finished folder in the place of the one that others may be reading."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python demo/train_policy.py --sources sources --out demo --minutes 30",
    )
    parser.add_argument("--sources", type=Path, required=True, help="folder of the source files")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder with data/; gets policy/ and reference/"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="training time (default 30)")
    parser.add_argument(
        "--steps", type=int, help="train this many steps, however long they take, not --minutes"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Train, measure three checkpoints, write both folders and print the figures."""
    args = parse_args()
    # Chats that are too long are measured, then left out; loading bars would bury the progress.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(args.seed)
    data = args.out / "data"
    mixture = build_mixture(args.sources, data, args.seed)
    # Not the judging chats: they repeat the answers and would fill the vocabulary with them.
    tokenizer = train_tokenizer(message["content"] for chat in mixture.answers for message in chat)
    check_tokenizer(tokenizer)
    examples = training_examples(tokenizer, mixture)
    model = new_model(tokenizer)
    tokens = sum(len(example.ids) for example in examples)
    print(f"{len(examples)} examples, {tokens} tokens, {model.num_parameters()} parameters")

    folders = {name: args.out / f".{name}.new" for name in ("random", "reference", "policy")}
    save(model, tokenizer, folders["random"])
    counts = train(model, examples, args, lambda: save(model, tokenizer, folders["reference"]))
    save(model, tokenizer, folders["policy"])

    figures: dict[str, Any] = {
        **counts,
        "batch_tokens": BATCH_TOKENS,
        "parameters": model.num_parameters(),
        "weight_bytes": (folders["policy"] / "model.safetensors").stat().st_size,
        "seed": args.seed,
    }
    for name, folder in folders.items():
        print(f"measuring {name}", flush=True)
        figures[name] = measure(folder, data, mixture, args.seed)
    shutil.rmtree(folders.pop("random"))
    for name, folder in folders.items():
        (folder / "README.md").write_text(model_card(name, figures), encoding="utf-8")
        publish(folder, args.out / name)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
