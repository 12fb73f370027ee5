"""Attention of a packed row: many prompts and their responses in one row, kept apart as spans.

A span is a prompt or a response. The tokens of a response attend only to its prompt and to itself.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NAME = "prefdata_packed"
"""The name of this attention in transformers."""

_MASK_ENTRIES = 1 << 26
"""On an accelerator, spans of similar length share an attention call, up to a mask of this size."""

_BLOCK = 512
"""On a CPU, torch's causal attention skips hidden keys in blocks of this size."""


@dataclass(frozen=True)
class Spans:
    """Spans that share an attention call, as positions in the row, of shape (spans, length).

    Without a mask the attention is plainly causal.
    """

    queries: Any
    keys: Any
    mask: Any
    into: Any
    valid: Any

    def attend(self, attention: Any, query: Any, key: Any, value: Any, out: Any) -> None:
        """Fill the spans' positions of `out`, of shape (tokens, heads, size). The other tensors
        have shape (heads, tokens, size)."""
        q, k, v = (
            x[:, positions].transpose(0, 1)
            for x, positions in ((query, self.queries), (key, self.keys), (value, self.keys))
        )
        out[self.into] = attention(q, k, v, self.mask)[self.valid]


@dataclass(frozen=True)
class Span:
    """One span, as slices, which are cheaper than positions on a CPU."""

    first: int
    end: int
    own: int
    last: int
    mask: Any

    def attend(self, attention: Any, query: Any, key: Any, value: Any, out: Any) -> None:
        """Fill the span's positions of `out`; see `Spans.attend`."""
        k, v = self._with_prefix(key), self._with_prefix(value)
        q = query[:, self.own : self.last] if self.mask is not None else self._with_prefix(query)
        states = attention(q[None], k[None], v[None], self.mask)[0]
        out[self.own : self.last] = states[self.own - self.last :]

    def _with_prefix(self, x: Any) -> Any:
        import torch

        own = x[:, self.own : self.last]
        return torch.cat((x[:, self.first : self.end], own), dim=1) if self.end else own


def plan_attention(spans: Sequence[tuple[int, int, int, int]], device: Any) -> list[Span | Spans]:
    """Plan attention calls for spans, each (prefix start, prefix end, own start, own end)."""
    calls: list[Span | Spans] = []
    on_cpu = device.type == "cpu"
    # After a short prefix it is cheaper to compute the attention of the prefix too and discard it:
    # plain causal attention needs no mask and skips the hidden half (on a CPU only whole blocks).
    spare = _BLOCK if on_cpu else 0
    for causal in (True, False):
        group = [s for s in spans if _is_causal(*s, spare) == causal]
        if on_cpu:
            calls += [
                Span(*s, None if causal else _make_mask(*_measure([s]), device)) for s in group
            ]
            continue
        group.sort(key=lambda s: (s[1] - s[0] + s[3] - s[2], s[3]), reverse=True)
        start = 0
        while start < len(group):
            first, end, own, last = group[start]
            size = max(1, _MASK_ENTRIES // (end - first + last - own) ** 2)
            calls.append(index_spans(group[start : start + size], causal, device))
            start += size
    return calls


def _is_causal(first: int, end: int, own: int, last: int, spare: int) -> bool:
    """Whether a span needs no mask because the attention of its prefix is computed too."""
    return first == end or end - first + spare <= last - own


def _measure(spans: Sequence[tuple[int, int, int, int]]) -> tuple[Any, Any]:
    """The lengths of the prefixes and of the spans' own tokens, each of shape (spans, 1)."""
    import torch

    first, end, own, last = (torch.tensor(column)[:, None] for column in zip(*spans, strict=True))
    return end - first, last - own


def _make_mask(before: Any, length: Any, device: Any) -> Any:
    """Which tokens the own tokens may attend to, of shape (spans, 1, own, prefix and own)."""
    import torch

    position = torch.arange(int((before + length).max()))[None, None, :]
    turn = torch.arange(int(length.max()))[None, :, None]
    return (position <= turn + before[:, :, None])[:, None].to(device)


def index_spans(spans: Sequence[tuple[int, int, int, int]], causal: bool, device: Any) -> Spans:
    """The spans as one call, for an accelerator."""
    import torch

    before, length = _measure(spans)
    first, own = (torch.tensor([s[n] for s in spans])[:, None] for n in (0, 2))
    position = torch.arange(int((before + length).max()))[None, :]
    keys = torch.where(
        position < before, first + position, own + torch.minimum(position - before, length - 1)
    )
    if causal:
        queries, mask = keys, None
        valid = (position >= before) & (position < before + length)
    else:
        turn = torch.arange(int(length.max()))[None, :]
        queries, valid = own + torch.minimum(turn, length - 1), turn < length
        mask = _make_mask(before, length, device)
    into = queries[valid].to(device)
    return Spans(queries.to(device), keys.to(device), mask, into, valid.to(device))


def _attend_packed(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    packing: Sequence[Span | Spans] | None = None,
    **settings: Any,
) -> tuple[Any, None]:
    """Attention of a packed row of shape (1, heads, tokens, size), span by span."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if packing is None or attention_mask is not None:
        raise NotImplementedError("the model does not pass on how its row is packed")

    def attention(q: Any, k: Any, v: Any, mask: Any) -> Any:
        return sdpa_attention_forward(module, q, k, v, mask, **settings)[0]

    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for spans in packing:
        spans.attend(attention, query[0], key[0], value[0], out)
    return out[None], None


def make_packed_view(base: Any) -> Any:
    """A view of the model with packed attention that shares its weights, or None if the model does
    not support it."""
    from transformers import AttentionInterface

    if not getattr(base, "_supports_attention_backend", False):
        return None
    AttentionInterface.register(NAME, _attend_packed)
    shared = {id(t): t for t in (*base.parameters(), *base.buffers())}
    view = copy.deepcopy(base, shared)
    try:
        view.set_attn_implementation(NAME)
    except (ValueError, AttributeError):
        return None
    return view
