"""Forward passes over padded batches: log-probs of responses, of options, and hidden states.

Sequences are padded on the left, so that responses end at the same position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

LOGITS = 1 << 28
"""The most logits in memory at once (1 GiB in float32): with a large vocabulary they take more
memory than anything else."""


def pad_left(
    sequences: Sequence[list[int]], pad: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids, attention mask, positions), each of shape (rows, longest)."""
    width = max(map(len, sequences))
    ids = torch.tensor([[pad] * (width - len(s)) + s for s in sequences], device=device)
    mask = torch.tensor([[0] * (width - len(s)) + [1] * len(s) for s in sequences], device=device)
    return ids, mask, (mask.cumsum(-1) - 1).clamp(min=0)


@torch.inference_mode()
def compute_response_logprobs(
    model: Any, sequences: Sequence[list[int]], counts: Sequence[int], pad: int
) -> list[np.ndarray]:
    """Log-probabilities of the last `counts[i]` tokens of each sequence, float64, in nats."""
    logprobs: list[np.ndarray] = []
    vocabulary = model.config.get_text_config().vocab_size
    rows = max(1, LOGITS // ((max(counts) + 1) * vocabulary))
    for start in range(0, len(sequences), rows):
        some, responses = sequences[start : start + rows], counts[start : start + rows]
        ids, mask, positions = pad_left(some, pad, model.device)
        keep = max(responses)
        logits = _compute_logits(model, ids, mask, positions, keep + 1)[:, :-1, :]
        targets = ids[:, -keep:] if keep else ids[:, :0]
        chosen = torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0]
        each = chosen.cpu().double().numpy()
        logprobs += [each[n, keep - count :] for n, count in enumerate(responses)]
    return logprobs


@torch.inference_mode()
def compute_next_logprobs(
    model: Any, sequences: Sequence[list[int]], tokens: list[int], pad: int
) -> list[list[float]]:
    """Log-probabilities of `tokens`, each as the next token of each sequence, in nats."""
    ids, mask, positions = pad_left(sequences, pad, model.device)
    logits = _compute_logits(model, ids, mask, positions, 1)[:, -1, :]
    table: list[list[float]] = torch.log_softmax(logits, -1)[:, tokens].cpu().double().tolist()
    return table


@torch.inference_mode()
def compute_hidden_sums(
    model: Any, sequences: Sequence[list[int]], counts: Sequence[int], pad: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The last-layer hidden states at the last `counts[i]` positions of each sequence.

    Returns:
        (their sum, the last of them), float32 of shape (hidden size,), per sequence.
    """
    ids, mask, positions = pad_left(sequences, pad, model.device)
    hidden = model.base_model(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state
    lengths = torch.tensor(list(counts), device=hidden.device)
    from_end = torch.arange(hidden.shape[1] - 1, -1, -1, device=hidden.device)
    kind = choose_sum_dtype(hidden.device)
    inside = (from_end[None, :] < lengths[:, None]).to(kind)
    sums = torch.einsum("bt,bth->bh", inside, hidden.to(kind)).float().cpu().numpy()
    return list(zip(sums, hidden[:, -1, :].float().cpu().numpy(), strict=True))


def choose_sum_dtype(device: torch.device) -> torch.dtype:
    """The dtype in which hidden states are summed: CHES is a difference that may nearly cancel.

    It is float64 on the CPU, where it costs nothing; accelerators are slow at it or lack it.
    """
    return torch.float64 if device.type == "cpu" else torch.float32


def _compute_logits(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, keep: int
) -> torch.Tensor:
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=False,
        logits_to_keep=keep,
    )
    logits: torch.Tensor = output.logits.float()
    return logits
