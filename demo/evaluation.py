"""Measure a saved policy: heldout loss, judging, and whether its samples come to an end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from judging import judging_figures
from mixture import Example, Mixture, encode
from sources import read_jsonl_gz
from tokenizer import MAX_LENGTH
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

SAMPLED_PROMPTS = 60
SAMPLE_TOKENS = 128
TEMPERATURE = 0.8


def padded(batch: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch's ids and weights, padded on the right.

    No attention mask is needed: under causal attention no real token sees what follows it.
    """
    width = max(len(example.ids) for example in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    weights = torch.zeros(len(batch), width)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    return ids, weights


def weighted_loss(model: LlamaForCausalLM, batch: list[Example]) -> tuple[torch.Tensor, float]:
    """The weighted sum of the next-token losses and the sum of the weights."""
    ids, weights = padded(batch)
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    counted = weights[:, 1:] > 0
    # Only the tokens that count go through the output layer, by far the widest one.
    logits = model.lm_head(hidden[counted])
    losses = functional.cross_entropy(logits.float(), ids[:, 1:][counted], reduction="none")
    counted_weights = weights[:, 1:][counted]
    return (losses * counted_weights).sum(), float(counted_weights.sum())


@torch.inference_mode()
def heldout_loss(model: LlamaForCausalLM, examples: list[Example]) -> float:
    """Mean loss of an answer's token over heldout chats."""
    total = weight = 0.0
    for example in examples:
        batch_loss, batch_weight = weighted_loss(model, [example])
        total += batch_loss.item()
        weight += batch_weight
    return total / weight


@torch.inference_mode()
def sample(folder: Path, prompts: list[dict[str, Any]], seed: int) -> list[str | None]:
    """Sampled answers, None for one that did not end in time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chats = [
        row["messages"] if "messages" in row else [{"role": "user", "content": row["prompt"]}]
        for row in prompts
    ]
    batch = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    torch.manual_seed(seed)
    output = model.generate(
        **batch, do_sample=True, temperature=TEMPERATURE, top_k=0, max_new_tokens=SAMPLE_TOKENS
    )
    new = output[:, batch["input_ids"].shape[1] :]
    return [
        tokenizer.decode(row, skip_special_tokens=True)
        if tokenizer.eos_token_id in row.tolist()
        else None
        for row in new
    ]


def read_prompts(data: Path) -> list[dict[str, Any]]:
    """The single-turn demo prompts to sample for, as they come."""
    lines = (data / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "prompt" in row][:SAMPLED_PROMPTS]


def measure(folder: Path, data: Path, mixture: Mixture, seed: int) -> dict[str, Any]:
    """Every figure of one saved checkpoint."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    figures: dict[str, Any] = {}
    for source, chats in mixture.heldout.items():
        examples = [encode(tokenizer, chat) for chat in chats]
        loss = heldout_loss(model, [e for e in examples if len(e.ids) <= MAX_LENGTH])
        figures[f"{source}_loss"] = round(loss, 4)
        figures[f"{source}_perplexity"] = round(math.exp(loss), 2)
    pairs = read_jsonl_gz(data / "preferences.jsonl.gz")
    heldout = [row for row in pairs if row["split"] == "heldout"]
    for source in ("gsm8k", "oasst"):
        rows = [row for row in heldout if row["source"] == source]
        figures[f"judging_{source}"] = judging_figures(model, tokenizer, rows)
    answers = sample(folder, read_prompts(data), seed)
    ended = sum(answer is not None for answer in answers)
    figures["sampled_ended"] = round(ended / len(answers), 4)
    return figures
