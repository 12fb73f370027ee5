"""The setting `completion`: which tokens of a response with thoughts count."""

from __future__ import annotations

from typing import Literal

Completion = Literal["all", "thoughts", "response", "without_thoughts"]
"""What of a response counts. It makes no difference to a response without thoughts, but that of
`thoughts` nothing is left."""

COMPLETION_HELP = (
    "Which tokens of a response with thoughts count: all; thoughts (with their marks); response "
    "(what comes after the thoughts, in their context); without_thoughts (the response as if there "
    "were no thoughts, as a trainer sees a dataset without them)."
)
"""The description of a setting of this type."""
