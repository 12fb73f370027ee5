"""The columns that identify a comparison."""

from __future__ import annotations

COMPARISON = ("prompt_id", "response_a", "response_b")
"""A prompt and two responses to it; response_a < response_b always."""
