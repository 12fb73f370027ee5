"""The state of each server of a pool."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp

PROBE_FIRST, PROBE_MAX = 0.5, 15.0
"""Seconds between the probes of a server that was taken out: they double up to the last."""


@dataclass(eq=False)
class Server:
    """One address and its state."""

    url: str
    asking: set[asyncio.Task[Any]] = field(default_factory=set, repr=False)
    heard: float = 0.0
    """When it last replied. `missed` counts the probes since then without a reply."""
    missed: int = 0
    picked: int = 0
    failures: int = 0
    resume_at: float = 0.0
    dead: bool = False
    reason: str = ""
    probe: float = PROBE_FIRST
    watch: asyncio.Task[None] | None = field(default=None, repr=False)

    def make_address(self, path: str) -> str:
        """The URL of a path: all are under /v1 but vLLM's own `/tokenize` and
        `/detokenize`, which are beside it."""
        return (
            self.url.removesuffix("/v1") if path in ("/tokenize", "/detokenize") else self.url
        ) + path


def explain_error(error: Exception) -> str:
    """The error in one line, without the details of the request in aiohttp's exceptions."""
    if isinstance(error, TimeoutError):
        return "no reply in time"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return getattr(cause, "strerror", None) or type(error).__name__
