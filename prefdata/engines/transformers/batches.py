"""Batches by tokens, planned so that a resumed run makes exactly the batches that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def plan_batches(
    lengths: Sequence[int], keys: Sequence[bytes], max_tokens: int, max_rows: int
) -> Iterator[list[int]]:
    """Plan batches of at most `max_rows` rows and `max_tokens` tokens, padding included.

    Rows are sorted by length, longest first, and then by key. The length of a batch's first row
    alone decides its number of rows. So the batches do not depend on the order of the requests, and
    without the batches that an earlier, killed run finished, the others are the same as before:
    floating-point results, which vary with a batch's shape, are the same bit for bit.

    Yields:
        The positions of each batch's rows.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], keys[i]))
    start = 0
    while start < len(order):
        rows = max(1, min(max_rows, max_tokens // max(1, lengths[order[start]])))
        yield order[start : start + rows]
        start += rows
