"""The badge of a checked dataset: a local SVG, and the line of markdown that shows it."""

from __future__ import annotations

import os
from xml.sax.saxutils import escape

from prefdata.files import storage
from prefdata.reports.dataset.check import CheckReport

_COLOURS = {"error": "#b42318", "warning": "#9a6700", "note": "#1a7f37", None: "#1a7f37"}
_LABEL = "prefdata check"
_CHARACTER = 6.6
"""The width of a character of the badge's font, in pixels."""
_PADDING = 12

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{alt}">
<title>{alt}</title>
<rect width="{left}" height="20" rx="3" fill="#444"/>
<rect x="{left}" width="{right}" height="20" rx="3" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{middle}" y="14">{label}</text>
<text x="{other}" y="14">{message}</text>
</g>
</svg>
"""


def write_badge(report: CheckReport, path: str) -> str:
    """Write the badge. Returns the line of markdown that shows it beside a card.

    Args:
        report: The report.
        path: The SVG file to write.
    """
    message = report.summarize()
    left, right = (round(len(text) * _CHARACTER) + _PADDING for text in (_LABEL, message))
    alt = f"{_LABEL}: {message}"
    content = _SVG.format(
        width=left + right,
        left=left,
        right=right,
        middle=left / 2,
        other=left + right / 2,
        colour=_COLOURS[report.severity],
        alt=escape(alt),
        label=_LABEL,
        message=escape(message),
    )
    storage.write_bytes(path, content.encode())
    return f"![{alt}]({os.path.basename(path)})"
