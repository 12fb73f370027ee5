"""Bodies of replies, read as far as a good one could reach: a server can't fill the memory."""

from __future__ import annotations

import aiohttp

from prefdata.engines.openai.config import OpenAIOptions

MIB = 1 << 20
TOKEN_BYTES = 1024
"""What a reply may say of one token: its text, log-prob and bytes, and its likeliest others."""
VECTOR_BYTES = MIB // 2
"""An embedding of 20,000 dimensions, written out."""
ID_BYTES = 10
"""A token's id; a text has no more tokens than bytes."""
MODELS_BYTES = 16 * MIB
"""The list of all models of a large gateway."""


def find_limit(options: OpenAIOptions, size: int) -> int:
    """The most bytes to read of a reply to a request whose good reply takes up to `size` bytes,
    beside what all replies hold."""
    return MIB + size if options.max_reply_mib is None else options.max_reply_mib * MIB


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body as it comes, unpacked. One of more than `limit` bytes is cut off behind them, and
    the connection closed."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > limit:
            response.close()
            break
    return bytes(body[: limit + 1])
