"""The columns that name a comparison."""

from __future__ import annotations

COMPARISON = ("prompt_id", "response_a", "response_b")
