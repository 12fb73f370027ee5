"""Hidden sums, packed: one forward pass over many prompts, each read once for all its responses.

The tokens of several prompts and of their responses are packed into a single row, without padding.
The tokens of a response attend only to its prompt and to itself, at the positions that they would
have after the prompt, so every hidden state is the same as in a pass over this response alone. The
base model runs without its head, the sums are computed on its device (in float64 on a CPU, else in
float32), and only two vectors per response are copied from it.

Some models can't do that: their attention can't be replaced, or they carry state along the row. For
them each response takes a row of its own, padded on the left. Whether a model can is tried on a few
tokens first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from prefdata.engines.transformers.batches import plan_batches
from prefdata.engines.transformers.forward import choose_sum_dtype, compute_hidden_sums
from prefdata.engines.transformers.packing import make_packed_view, plan_attention

_TOLERANCE = {"float32": 1e-3, "float64": 1e-6}
"""How far the trial may differ, relative to the sum's norm; 5 % in less precise types."""

Sums = list[tuple[np.ndarray, np.ndarray]]
"""Per row: (sum, last) of its response's hidden states, float32 of shape (hidden size,)."""


class HiddenSums:
    """A loaded causal model that computes the hidden sums of responses, given as token ids.

    `shares` says whether prompts are read once for all their responses.
    """

    def __init__(self, model: Any, pad: int) -> None:
        self.model = model
        self.pad = pad
        # Beyond its attention window a token no longer sees its whole sequence.
        config = model.config.get_text_config()
        windows = (getattr(config, n, None) for n in ("sliding_window", "attention_chunk_size"))
        self.reach = min((int(w) for w in windows if w), default=1 << 62)
        self.packed = make_packed_view(model.base_model)
        self.shares = self.packed is not None and self._try_packing()

    def plan_passes(
        self,
        prompts: Sequence[list[int]],
        responses: Sequence[list[int]],
        keys: Sequence[bytes],
        rows: Sequence[int],
        max_tokens: int,
    ) -> Iterator[list[int]]:
        """Plan forward passes of at most `max_tokens` tokens, as lists of rows.

        The responses to a prompt stay together, or are split into pieces if they are too many for
        one pass. As in `plan_batches`, the length of the first row (or piece) alone decides the
        size of a piece (or pass): without the passes that an earlier run finished, the others are
        the same as before.
        """
        together = [r for r in rows if self._can_pack(prompts[r], responses[r])]
        by_prompt: dict[bytes, list[int]] = {}
        for row in together:
            by_prompt.setdefault(array("q", prompts[row]).tobytes(), []).append(row)
        pieces: list[list[int]] = []
        for members in by_prompt.values():
            room = max(1, max_tokens - len(prompts[members[0]]))
            lengths = [max(1, len(responses[row]) - 1) for row in members]
            for piece in plan_batches(lengths, [keys[row] for row in members], room, len(members)):
                pieces.append([members[i] for i in piece])
        sizes = [_count_packed([prompts[r] for r in p], [responses[r] for r in p]) for p in pieces]
        marks = [array("q", prompts[p[0]]).tobytes() + keys[p[0]] for p in pieces]
        for batch in plan_batches(sizes, marks, max_tokens, max(1, len(pieces))):
            yield [row for i in batch for row in pieces[i]]
        apart = [r for r in rows if not self._can_pack(prompts[r], responses[r])]
        lengths = [len(prompts[row]) + len(responses[row]) - 1 for row in apart]
        for batch in plan_batches(lengths, [keys[row] for row in apart], max_tokens, max_tokens):
            yield [apart[i] for i in batch]

    def count_tokens(self, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> int:
        """The number of tokens that a pass over these rows runs, padding included."""
        if self._can_pack(prompts[0], responses[0]):
            return _count_packed(prompts, responses)
        longest = max(len(p) + len(a) - 1 for p, a in zip(prompts, responses, strict=True))
        return len(responses) * longest

    def run(self, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> Sums:
        """One forward pass over the rows of a batch, or of a part of one."""
        if self._can_pack(prompts[0], responses[0]):
            return self._run_packed(prompts, responses)
        return self._run_padded(prompts, responses)

    def _can_pack(self, prompt: list[int], response: list[int]) -> bool:
        return self.shares and len(prompt) + len(response) - 1 <= self.reach

    @torch.inference_mode()
    def _run_packed(self, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> Sums:
        by_prompt: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            by_prompt.setdefault(tuple(prompt), []).append(row)
        ids: list[int] = []
        positions: list[int] = []
        spans: list[tuple[int, int, int, int]] = []
        inside: dict[int, tuple[int, int, int]] = {}
        for prompt_ids, rows in by_prompt.items():
            start, end = len(ids), len(ids) + len(prompt_ids)
            ids += prompt_ids
            positions += range(len(prompt_ids))
            spans.append((0, 0, start, end))
            for row in rows:
                # The last token of a response predicts none of its tokens, so it is not run.
                own = responses[row][:-1]
                first = len(ids)
                ids += own
                positions += range(len(prompt_ids), len(prompt_ids) + len(own))
                if own:
                    spans.append((start, end, first, len(ids)))
                inside[row] = (end - 1, first, len(ids))
        device = self.model.device
        states = self.packed(
            input_ids=torch.tensor([ids], device=device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            packing=plan_attention(spans, device),
        ).last_hidden_state[0]
        kind = choose_sum_dtype(device)
        weights = torch.zeros(len(responses), len(ids), dtype=kind)
        ends = []
        for row in range(len(responses)):
            before, first, last = inside[row]
            weights[row, before] = 1
            weights[row, first:last] = 1
            ends.append(last - 1 if last > first else before)
        sums = (weights.to(device) @ states.to(kind)).float().cpu().numpy()
        last_states = states[torch.tensor(ends, device=device)].float().cpu().numpy()
        return list(zip(sums, last_states, strict=True))

    def _run_padded(self, prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> Sums:
        sequences = [p + a[:-1] for p, a in zip(prompts, responses, strict=True)]
        return compute_hidden_sums(self.model, sequences, [len(a) for a in responses], self.pad)

    def _try_packing(self) -> bool:
        """Whether a packed pass over a few tokens gives the same as a pass per response."""
        count = min(7, self.model.get_input_embeddings().num_embeddings - 1)
        tokens = [n % count + 1 for n in range(40)]
        prompts = [tokens[:9], tokens[:9], tokens[4:9]]
        responses = [tokens[9:20], tokens[12:15], tokens[20:40]]
        try:
            together = self._run_packed(prompts, responses)
        except (RuntimeError, ValueError, TypeError, AttributeError):
            return False
        kind = str(self.model.dtype).removeprefix("torch.")
        for (packed, _), prompt, response in zip(together, prompts, responses, strict=True):
            ((padded, _),) = self._run_padded([prompt], [response])
            difference, size = np.linalg.norm(packed - padded), np.linalg.norm(padded)
            if not difference <= _TOLERANCE.get(kind, 0.05) * size:
                return False
        return True


def _count_packed(prompts: Sequence[list[int]], responses: Sequence[list[int]]) -> int:
    """The tokens of a packed pass: each prompt once, each response without its last token."""
    once = {tuple(p) for p in prompts}
    return sum(map(len, once)) + sum(len(a) - 1 for a in responses)
