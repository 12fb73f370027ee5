"""Hidden sums, packed: one forward pass over many prompts, each read once for all its answers.

The tokens of several prompts and of their answers lie behind one another in a single row, without
padding. An answer's tokens attend to their prompt's and to their own alone, and stand at the
positions they would have behind the prompt, so every hidden state is that of a pass over this
answer alone. The base model is run without its head, the sums are taken on its device in float32,
and two vectors an answer leave it.

Where a model can't do that (its attention can't be replaced, or it carries state along the row),
each answer takes a row of its own, padded on the left. A model is tried on a few tokens first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prefdata.engines.base import STOPPING
from prefdata.engines.batches import plan
from prefdata.engines.packing import packed_view, packing_of

_TOLERANCE = {"float32": 1e-3, "float64": 1e-6}
"""How far the trial may differ, relative to the sum's norm; 5 % in less precise types."""


@dataclass(frozen=True)
class Group:
    """A prompt and some of its answers, as token ids; `rows` are the answers' request rows."""

    prompt: list[int]
    rows: list[int]
    answers: list[list[int]]

    @property
    def n_tokens(self) -> int:
        """Tokens run: an answer's last one predicts nothing in it."""
        return len(self.prompt) + sum(len(a) - 1 for a in self.answers)

    @property
    def longest(self) -> int:
        """Tokens of the longest single sequence."""
        return len(self.prompt) + max(len(a) for a in self.answers) - 1


@dataclass(frozen=True)
class Sums:
    """What one forward pass gave: a sum, a last state and a token count for each of `rows`."""

    rows: list[int]
    hidden_sum: Any
    last_hidden: Any
    n_tokens: list[int]


def groups(
    prompts: Sequence[list[int]],
    answers: Sequence[list[int]],
    keys: Sequence[bytes],
    rows: Sequence[int],
    max_tokens: int,
) -> list[Group]:
    """The rows by prompt, in pieces of at most `max_tokens` where a prompt has many answers.

    As in `plan`, a piece is closed by its first answer's length and the number of answers alone:
    taking whole pieces away, finished by an earlier run, leaves the others as they were.
    """
    by_prompt: dict[bytes, list[int]] = {}
    for row in rows:
        by_prompt.setdefault(array("q", prompts[row]).tobytes(), []).append(row)
    result = []
    for members in by_prompt.values():
        prompt = prompts[members[0]]
        room = max(1, max_tokens - len(prompt))
        lengths = [max(1, len(answers[row]) - 1) for row in members]
        for piece in plan(lengths, [keys[row] for row in members], room, len(members)):
            picked = [members[i] for i in piece]
            result.append(Group(prompt, picked, [answers[row] for row in picked]))
    return result


class HiddenSums:
    """A loaded causal model, ready to give the hidden sums of groups.

    `shares` says whether prompts are read once for all their answers.
    """

    def __init__(self, model: Any, pad: int) -> None:
        self.base = model.base_model
        self.pad = pad
        self.device = model.device
        # Beyond a window a token's context is no longer its whole sequence.
        config = model.config.get_text_config()
        windows = (getattr(config, n, None) for n in ("sliding_window", "attention_chunk_size"))
        self.reach = min((int(w) for w in windows if w), default=1 << 62)
        self.packed = packed_view(self.base)
        self.shares = self.packed is not None and self._trial()

    def run(self, found: Sequence[Group], keys: Sequence[bytes], max_tokens: int) -> Iterator[Sums]:
        """The sums of all groups, a forward pass at a time, at most `max_tokens` each."""
        shared = [g for g in found if self.shares and g.longest <= self.reach]
        marks = [array("q", g.prompt).tobytes() + keys[g.rows[0]] for g in shared]
        for batch in plan([g.n_tokens for g in shared], marks, max_tokens, len(shared)):
            if STOPPING.is_set():
                return
            yield self._shared([shared[i] for i in batch])
        alone = [
            Group(g.prompt, [row], [answer])
            for g in found
            if not (self.shares and g.longest <= self.reach)
            for row, answer in zip(g.rows, g.answers, strict=True)
        ]
        marks = [keys[g.rows[0]] for g in alone]
        for batch in plan([g.n_tokens for g in alone], marks, max_tokens, max_tokens):
            if STOPPING.is_set():
                return
            yield self._padded([alone[i] for i in batch])

    def _shared(self, batch: list[Group]) -> Sums:
        import torch

        ids: list[int] = []
        positions: list[int] = []
        spans: list[tuple[int, int, int, int]] = []
        rows: list[int] = []
        inside: list[tuple[int, int, int]] = []
        for group in batch:
            start, end = len(ids), len(ids) + len(group.prompt)
            ids += group.prompt
            positions += range(len(group.prompt))
            spans.append((0, 0, start, end))
            for row, answer in zip(group.rows, group.answers, strict=True):
                first = len(ids)
                ids += answer[:-1]
                positions += range(len(group.prompt), len(group.prompt) + len(answer) - 1)
                if len(ids) > first:
                    spans.append((start, end, first, len(ids)))
                inside.append((end - 1, first, len(ids)))
                rows.append(row)
        tokens = torch.tensor([ids], device=self.device)
        with torch.inference_mode():
            states = (
                self.packed(
                    input_ids=tokens,
                    position_ids=torch.tensor([positions], device=self.device),
                    use_cache=False,
                    packing=packing_of(spans, self.device),
                )
                .last_hidden_state[0]
                .float()
            )
            weights = torch.zeros(len(rows), len(ids))
            for n, (before, first, last) in enumerate(inside):
                weights[n, before] = 1
                weights[n, first:last] = 1
            sums = weights.to(self.device) @ states
            ends = [last - 1 if last > first else before for before, first, last in inside]
            final = states[torch.tensor(ends, device=self.device)]
        counts = [len(answer) for group in batch for answer in group.answers]
        return Sums(rows, sums.cpu().numpy(), final.cpu().numpy(), counts)

    def _padded(self, batch: list[Group]) -> Sums:
        import torch

        sequences = [g.prompt + g.answers[0][:-1] for g in batch]
        counts = [len(g.answers[0]) for g in batch]
        width = max(map(len, sequences))
        ids = torch.tensor([[self.pad] * (width - len(s)) + s for s in sequences])
        mask = torch.tensor([[0] * (width - len(s)) + [1] * len(s) for s in sequences])
        weights = torch.arange(width - 1, -1, -1)[None, :] < torch.tensor(counts)[:, None]
        with torch.inference_mode():
            states = self.base(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0).to(self.device),
                use_cache=False,
            ).last_hidden_state.float()
            sums = torch.einsum("bt,bth->bh", weights.to(states), states)
        rows = [g.rows[0] for g in batch]
        return Sums(rows, sums.cpu().numpy(), states[:, -1, :].cpu().numpy(), counts)

    def _trial(self) -> bool:
        """Whether a few tokens come out packed as they do one answer a pass."""
        import torch

        some = min(7, self.base.get_input_embeddings().num_embeddings - 1)
        tokens = [n % some + 1 for n in range(40)]
        trial = [
            Group(tokens[:9], [0, 1], [tokens[9:20], tokens[12:15]]),
            Group(tokens[4:9], [2], [tokens[20:40]]),
        ]
        alone = [
            Group(g.prompt, [row], [answer])
            for g in trial
            for row, answer in zip(g.rows, g.answers, strict=True)
        ]
        try:
            together = self._shared(trial).hidden_sum
        except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError):
            return False
        apart = [self._padded([one]).hidden_sum[0] for one in alone]
        kind = str(self.base.dtype).removeprefix("torch.")
        for one, other in zip(together, apart, strict=True):
            difference = torch.tensor(one - other).norm()
            if not difference <= _TOLERANCE.get(kind, 0.05) * torch.tensor(other).norm():
                return False
        return True
