"""Tables for people, as text."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[tuple[str, ...]], right: Sequence[int]) -> str:
    """The rows, the first being the head, as a table; the columns `right` are set flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    under = tuple("-" * width for width in (*widths[:-1], len(rows[0][-1])))
    lines = []
    for row in (rows[0], under, *rows[1:]):
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
