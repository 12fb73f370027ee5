"""What could predict displacement, and the displacement at first order, for displacement.py.

The columns of a pair, beside those of prefdata's CHES. Each is the higher, the further the pair is
expected to push log p(chosen) down:

- `ches_relative`: <S_c, S_r> / |S_c|² - 1, CHES over its second term;
- `similarity`, of the responses' word trigrams, as the filter near_identical measures it;
- `minus_edit_distance`, of the tokens, over the longer response's number of them;
- `minus_tokens`, of the chosen response; `logprob` and `mean_logprob`, its log p and that a token;
- `head`: <G_c, G_r - G_c> with G the gradient of log p by the unembedding matrix, exactly. It is
  the sum over the tokens k of the one response and l of the other of <h_k, h_l> <r_k, r_l>, with h
  the hidden states and r = onehot - p what is left to learn, as in the paper's Section 4. It needs
  the logits, and no backward pass. `head_relative` is that over |G_c|²;
- `head_sketch`: `head` from a sketch of each G: G between two random projections, 64 x 64 numbers.
  A sketch belongs to one response, as the sum of CHES does;
- `first_order`: <g_c, g_r - g_c> with g the gradients by all parameters. Times beta / 2 it is minus
  d log p(chosen) / dt in gradient flow on DPO's loss of this pair alone, policy and reference being
  the same; `first_order_relative` is that over |g_c|²;
- `sign_step`: minus <g_c, sign(g_c - g_r)>, the same in the first step of Adam or RMSprop.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import torch

from prefdata.ches.measure import measure_pairs
from prefdata.engines import chat
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.inference import Inference
from prefdata.text.shingles import trigram_similarity

_SKETCH = 64
SIDES = ("chosen", "rejected")
CHEAP = (
    "ches",
    "ches_normalized",
    "last_hidden_inner_product",
    "minus_edit_distance",
    "minus_tokens",
)
"""What needs hidden states at most."""
SCORES = (
    *CHEAP[:2],
    "ches_relative",
    *CHEAP[2:],
    "similarity",
    "logprob",
    "mean_logprob",
    "head",
    "head_relative",
    "head_sketch",
    "first_order",
    "first_order_relative",
    "sign_step",
)


def responses(pairs: pl.DataFrame) -> pl.DataFrame:
    """Two rows per pair, all chosen first: response_id, prompt_id, messages, text, finished."""
    sides = [
        pairs.select(
            response_id=pl.col("pair") + side, prompt_id="pair", messages="messages", text=side
        )
        for side in SIDES
    ]
    return pl.concat(sides).with_columns(finished=True)


def measure(pairs: pl.DataFrame, engine: TransformersEngine, max_tokens: int) -> pl.DataFrame:
    """The pairs of at most `max_tokens`, prompt included, with CHEAP, tokens_chosen and
    tokens_rejected."""
    both = [[engine.encoder.encode_content(text) for text in pairs[side]] for side in SIDES]
    prompts = [len(prompt) for prompt in chat.Prompts(engine.encoder, pairs).ids]
    distances = [_edit_distance(*texts) for texts in zip(*both, strict=True)]
    # A response that is finished has its end besides.
    longest = [max(map(len, texts)) + 1 for texts in zip(*both, strict=True)]
    short = pairs.with_columns(
        minus_edit_distance=-pl.Series(distances),
        chosen_id=pl.col("pair") + "chosen",
        rejected_id=pl.col("pair") + "rejected",
    ).filter(pl.Series(longest) + pl.Series(prompts) <= max_tokens)
    found = measure_pairs("policy", responses(short), short, Inference({"policy": engine}))
    return found.filter(pl.col("fault").is_null()).with_columns(
        minus_tokens=-pl.col("tokens_chosen").cast(pl.Int64)
    )


def _edit_distance(one: list[int], other: list[int]) -> float:
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


def differentiate(
    pairs: pl.DataFrame, engine: TransformersEngine
) -> Iterator[dict[str, float | str]]:
    """Each pair's inner products of gradients, of sketches and of hidden sums, and the responses'
    log p."""
    sketch = _Sketch(engine.model)
    for pair, (prompt, *ids) in zip(pairs["pair"], encode(pairs, engine), strict=True):
        sides = []
        for response in ids:
            logprob, states, logits = sum_logprobs(engine.model, prompt, response)
            sides.append((logprob, *sketch.make(states, logits, response)))
            if len(sides) == 1:
                gradients = torch.autograd.grad(logprob, list(engine.model.parameters()))
        found: dict[str, float | str] = {"pair": pair}
        for name, (_, *one), (_, *other) in (
            ("cc", sides[0], sides[0]),
            ("cr", sides[0], sides[1]),
            ("rr", sides[1], sides[1]),
        ):
            states, left, small = (a @ b.T for a, b in zip(one, other, strict=True))
            found[f"sums_{name}"] = float(states.sum())
            found[f"head_{name}"] = float((states * left).sum())
            found[f"sketch_{name}"] = float(small)
        found |= {
            "logprob": float(sides[0][0].detach()),
            "logprob_rejected": float(sides[1][0].detach()),
        }
        found |= _multiply(sides[1][0], engine.model, gradients)
        yield found


class _Sketch:
    """Random projections, the same ones in every run, of the gradient by the unembedding matrix."""

    def __init__(self, model: Any) -> None:
        generator = torch.Generator().manual_seed(0)
        self.sides = [
            torch.randn(size, _SKETCH, generator=generator) / _SKETCH**0.5
            for size in model.get_output_embeddings().weight.shape
        ]

    @torch.no_grad()
    def make(
        self, states: torch.Tensor, logits: torch.Tensor, response: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Hidden states and onehot - p, a row for each token, and the sketch, in one row."""
        left = -logits.exp()
        left[torch.arange(len(response)), response] += 1
        words, sizes = self.sides
        return states.detach(), left, ((left @ words).T @ (states @ sizes)).reshape(1, -1)


def _multiply(logprob: torch.Tensor, model: Any, chosen: Any) -> dict[str, float]:
    """The inner products of all gradients, given those of the chosen response and the rejected
    one's log p, whose gradients are never all in memory."""
    found = dict.fromkeys(("all_cc", "all_cr", "all_rr", "sign_c", "sign_r"), 0.0)

    def take(c: torch.Tensor, weight: torch.Tensor) -> None:
        assert weight.grad is not None
        r, weight.grad = weight.grad.flatten(), None
        c = c.flatten()
        sign = (c - r).sign_()
        for name, one, other in (
            ("all_cc", c, c),
            ("all_cr", c, r),
            ("all_rr", r, r),
            ("sign_c", c, sign),
            ("sign_r", r, sign),
        ):
            found[name] += float(torch.dot(one, other))

    hooks = [
        weight.register_post_accumulate_grad_hook(partial(take, gradient))
        for weight, gradient in zip(model.parameters(), chosen, strict=True)
    ]
    logprob.backward()
    for hook in hooks:
        hook.remove()
    return found


def encode(
    pairs: pl.DataFrame, engine: TransformersEngine
) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """Each pair's prompt, chosen and rejected response, the last two with the end of the turn."""
    prompts = chat.Prompts(engine.encoder, pairs).ids
    end = engine.encoder.find_end_of_turn().ids
    for prompt, *texts in zip(prompts, *(pairs[side] for side in SIDES), strict=True):
        chosen, rejected = (engine.encoder.encode_content(text) + end for text in texts)
        yield prompt, chosen, rejected


def sum_logprobs(
    model: Any, prompt: list[int], response: list[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log p(response), and for each of its tokens the hidden state and the log-probabilities of
    the vocabulary."""
    output = model.base_model(torch.tensor([prompt + response[:-1]]))
    states = output.last_hidden_state[0, len(prompt) - 1 :]
    logits = model.get_output_embeddings()(states).log_softmax(-1)
    return logits.gather(-1, torch.tensor(response)[:, None]).sum(), states, logits


def score(pairs: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """The measured pairs with all of SCORES, from what `differentiate` found of them."""
    joined = pairs.join(products, on="pair", how="inner", maintain_order="left")
    difference = {
        name: pl.col(f"{name}_cr") - pl.col(f"{name}_cc")
        for name in ("sums", "head", "sketch", "all")
    }
    return joined.with_columns(
        similarity=trigram_similarity(joined["chosen"], joined["rejected"]),
        ches_relative=difference["sums"] / pl.col("sums_cc"),
        mean_logprob=pl.col("logprob") / pl.col("tokens_chosen"),
        head=difference["head"],
        head_relative=difference["head"] / pl.col("head_cc"),
        head_sketch=difference["sketch"],
        first_order=difference["all"],
        first_order_relative=difference["all"] / pl.col("all_cc"),
        sign_step=-pl.col("sign_c"),
    )
