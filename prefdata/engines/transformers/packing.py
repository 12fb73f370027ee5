"""Attention of a packed row: many prompts and their responses behind one another, each span apart.

A span is a prompt, or a response's tokens, which attend to their prompt's and to their own alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NAME = "prefdata_packed"
"""What transformers calls this attention."""

_MASK_ENTRIES = 1 << 26
"""On an accelerator spans of like length are attended to at once, up to a mask of this size."""

_BLOCK = 512
"""Torch's attention on a CPU leaves out what a causal row hides by blocks of so many keys."""


@dataclass(frozen=True)
class Spans:
    """Spans attended to at once, as places in the row: (spans, length). No mask: plain causal."""

    queries: Any
    keys: Any
    mask: Any
    into: Any
    valid: Any

    def attend(self, attention: Any, query: Any, key: Any, value: Any, out: Any) -> None:
        """`out`, (tokens, heads, size), from (heads, tokens, size), where the spans lie."""
        q, k, v = (
            x[:, places].transpose(0, 1)
            for x, places in ((query, self.queries), (key, self.keys), (value, self.keys))
        )
        out[self.into] = attention(q, k, v, self.mask)[self.valid]


@dataclass(frozen=True)
class Span:
    """One span, as slices: on a CPU they are cheaper than places."""

    first: int
    end: int
    own: int
    last: int
    mask: Any

    def attend(self, attention: Any, query: Any, key: Any, value: Any, out: Any) -> None:
        """As above."""
        k, v = self._with_prefix(key), self._with_prefix(value)
        q = query[:, self.own : self.last] if self.mask is not None else self._with_prefix(query)
        found = attention(q[None], k[None], v[None], self.mask)[0]
        out[self.own : self.last] = found[self.own - self.last :]

    def _with_prefix(self, x: Any) -> Any:
        import torch

        own = x[:, self.own : self.last]
        return torch.cat((x[:, self.first : self.end], own), dim=1) if self.end else own


def packing_of(spans: Sequence[tuple[int, int, int, int]], device: Any) -> list[Span | Spans]:
    """Attention calls for spans of (first and end of the prefix, first and end of its own)."""
    calls: list[Span | Spans] = []
    on_cpu = device.type == "cpu"
    # Behind a short prefix it is cheaper to attend from the prefix as well and drop that, because
    # plain causal attention needs no mask and leaves out the half that it would hide: on a CPU
    # only what fills a block.
    spare = _BLOCK if on_cpu else 0
    for causal in (True, False):
        some = [s for s in spans if _causal(*s, spare) == causal]
        if on_cpu:
            calls += [Span(*s, None if causal else _mask(*_sizes([s]), device)) for s in some]
            continue
        some.sort(key=lambda s: (s[1] - s[0] + s[3] - s[2], s[3]), reverse=True)
        start = 0
        while start < len(some):
            first, end, own, last = some[start]
            size = max(1, _MASK_ENTRIES // (end - first + last - own) ** 2)
            calls.append(places_of(some[start : start + size], causal, device))
            start += size
    return calls


def _causal(first: int, end: int, own: int, last: int, spare: int) -> bool:
    """Whether a span is attended to without a mask, from its prefix as well."""
    return first == end or end - first + spare <= last - own


def _sizes(spans: Sequence[tuple[int, int, int, int]]) -> tuple[Any, Any]:
    """Lengths of the prefixes and of the spans' own tokens, each (spans, 1)."""
    import torch

    first, end, own, last = (torch.tensor(column)[:, None] for column in zip(*spans, strict=True))
    return end - first, last - own


def _mask(before: Any, length: Any, device: Any) -> Any:
    """What own tokens may attend to, (spans, 1, own, prefix and own)."""
    import torch

    place = torch.arange(int((before + length).max()))[None, None, :]
    turn = torch.arange(int(length.max()))[None, :, None]
    return (place <= turn + before[:, :, None])[:, None].to(device)


def places_of(spans: Sequence[tuple[int, int, int, int]], causal: bool, device: Any) -> Spans:
    """Spans at once, for an accelerator."""
    import torch

    before, length = _sizes(spans)
    first, own = (torch.tensor([s[n] for s in spans])[:, None] for n in (0, 2))
    place = torch.arange(int((before + length).max()))[None, :]
    keys = torch.where(
        place < before, first + place, own + torch.minimum(place - before, length - 1)
    )
    if causal:
        queries, mask = keys, None
        valid = (place >= before) & (place < before + length)
    else:
        turn = torch.arange(int(length.max()))[None, :]
        queries, valid = own + torch.minimum(turn, length - 1), turn < length
        mask = _mask(before, length, device)
    into = queries[valid].to(device)
    return Spans(queries.to(device), keys.to(device), mask, into, valid.to(device))


def _attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    packing: Sequence[Span | Spans] | None = None,
    **settings: Any,
) -> tuple[Any, None]:
    """Attention of a packed row, (1, heads, tokens, size), span by span."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if packing is None or attention_mask is not None:
        raise NotImplementedError("the model does not hand on how its row is packed")

    def attention(q: Any, k: Any, v: Any, mask: Any) -> Any:
        return sdpa_attention_forward(module, q, k, v, mask, **settings)[0]

    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for spans in packing:
        spans.attend(attention, query[0], key[0], value[0], out)
    return out[None], None


def packed_view(base: Any) -> Any:
    """The same model, sharing its weights, with the attention above; None where it has none."""
    from transformers import AttentionInterface

    if not getattr(base, "_supports_attention_backend", False):
        return None
    AttentionInterface.register(NAME, _attention)
    shared = {id(t): t for t in (*base.parameters(), *base.buffers())}
    view = copy.deepcopy(base, shared)
    try:
        view.set_attn_implementation(NAME)
    except (ValueError, AttributeError):
        return None
    return view
