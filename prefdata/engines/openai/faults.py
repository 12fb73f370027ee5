"""What can go wrong with one request, and what to do about it."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

RETRY_AFTER_MAX = 120.0
"""The longest Retry-After that is respected, in seconds."""
BACKOFF_FIRST = 0.5
BACKOFF_MAX = 30.0
_EXCERPT = 300
_TRANSIENT = (408, 409, 425, 429)
_TOO_LONG = re.compile(
    # vLLM and OpenAI; OpenAI's code; llama.cpp; SGLang; TGI; gateways.
    r"maximum (context|model) length|context_length_exceeded|exceed\w* the available context"
    r"|exceed_context_size|longer than the (model|maximum)|exceeds the model.s maximum context"
    r"|prompt is too long|`inputs`( tokens \+ `max_new_tokens`)? must (be|have)",
    re.IGNORECASE,
)


class Fault(Exception):
    """One request failed. `code` and `text` make up its error.

    Args:
        retry: The same request may succeed later, after `after` seconds if the server says so.
        own: The request itself is at fault, not the server.
        lacking: The reply lacks something that this server may never give.
        unreached: The request was never sent.
        status: The HTTP status of the reply.
        remedy: The setting to change, if known.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        retry: bool = False,
        own: bool = False,
        lacking: bool = False,
        unreached: bool = False,
        status: int | None = None,
        after: float | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(code, text)
        self.code, self.text, self.remedy = code, text, remedy
        self.retry, self.own, self.lacking, self.unreached = retry, own, lacking, unreached
        self.status, self.after = status, after
        self.server: object = None

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class BadReply(Fault):
    """A reply that can't be read; another try may bring a good one."""

    def __init__(self, text: str, **more: Any) -> None:
        super().__init__("bad_response", text, **{"retry": True, **more})


def explain_status(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """The fault behind an HTTP status other than 200."""
    message = extract_message(body)
    text = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    if status in _TRANSIENT or (status >= 500 and status != 501):
        code = "timeout" if status == 408 else "server_error"
        after = parse_retry_after(headers.get("Retry-After"))
        return Fault(code, text, retry=True, status=status, after=after)
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(message)):
        return Fault("too_long", text, own=True, status=status)
    if 300 <= status < 400:
        text = f"HTTP {status}: the server sends requests to another address"
        return Fault("refused", text, status=status, remedy="Put that address into base_urls.")
    return Fault("refused", text, status=status)


def extract_message(body: bytes) -> str:
    """The server's error message in one line."""
    try:
        content = orjson.loads(body)
        if isinstance(content, dict):
            error = content.get("error", content)
            content = (
                error.get("message") or error.get("detail") if isinstance(error, dict) else error
            )
        text = content if isinstance(content, str) else orjson.dumps(content).decode()
    except orjson.JSONDecodeError:
        text = body[: 10 * _EXCERPT].decode("utf-8", "replace")
    return " ".join(text.split())[:_EXCERPT]


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks for (a number or an HTTP date), capped."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        seconds = (then - (now or datetime.now(UTC))).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX)


def compute_backoff(attempt: int) -> float:
    """Seconds to wait after attempt number `attempt`: doubled each time, jittered, capped."""
    return min(BACKOFF_MAX, BACKOFF_FIRST * 2.0**attempt) * random.uniform(0.5, 1.0)
