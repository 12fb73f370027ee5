"""The servers of a pool: what is known about each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp

PROBE_FIRST, PROBE_MAX = 0.5, 15.0
"""Seconds between the probes of a server that was taken out: doubled from the first to the last."""


@dataclass(eq=False)
class Server:
    """One address, and how it has behaved."""

    url: str
    asking: set[asyncio.Task[Any]] = field(default_factory=set, repr=False)
    heard: float = 0.0
    """When it last replied; `missed`: probes in a row since then that it did not answer."""
    missed: int = 0
    picked: int = 0
    failures: int = 0
    resume_at: float = 0.0
    dead: bool = False
    reason: str = ""
    probe: float = PROBE_FIRST
    watch: asyncio.Task[None] | None = field(default=None, repr=False)

    def make_address(self, path: str) -> str:
        """`/chat/completions` lies under /v1; vLLM's own `/tokenize` beside it."""
        return (self.url.removesuffix("/v1") if path == "/tokenize" else self.url) + path


def explain_error(error: Exception) -> str:
    """The error in one line, without what aiohttp's exceptions tell about the request."""
    if isinstance(error, TimeoutError):
        return "no reply in time"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return getattr(cause, "strerror", None) or type(error).__name__
