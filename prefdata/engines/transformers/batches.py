"""Batches by tokens, composed so that an interrupted run repeats exactly the batches it missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def plan(
    lengths: Sequence[int], keys: Sequence[bytes], max_tokens: int, max_rows: int
) -> Iterator[list[int]]:
    """Positions of each batch, longest first, padded size at most `max_tokens`.

    Sorted by length and then by key, and closed by the first row's length and the number of rows
    alone. So the batches do not depend on the order in which requests came, and taking whole
    batches away (those that an earlier, killed run finished) leaves the others as they were:
    floating-point results, which vary with a batch's shape, come out the same bit for bit.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], keys[i]))
    start = 0
    while start < len(order):
        rows = max(1, min(max_rows, max_tokens // max(1, lengths[order[start]])))
        yield order[start : start + rows]
        start += rows
