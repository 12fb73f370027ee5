"""Content keys of requests: everything that changes the response and nothing else.

A key is the first 16 bytes of SHA-256 over the model's fingerprint, the operation, its settings
and the request's own columns. What a request may lack (tools, thoughts …) is left out where it is
null, and so is what an engine says of its tokens (`Engine.describe_encoding`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefdata.engines.base import Operation, Settings
from prefdata.hashing.digests import row_digests
from prefdata.hashing.ids import ID_BYTES

ENCODING = "encoding"
"""The column of what an engine says of a request's tokens, beside the request's own columns."""


def request_keys(
    fingerprint: str,
    operation: Operation,
    settings: Settings,
    rows: pl.DataFrame,
    columns: Sequence[str],
    optional: Sequence[str] = (),
) -> pl.Series:
    """The key of every row, as a Binary series named `key`.

    `columns` are the columns of `rows` that belong to the request, and `optional` those that belong
    to it where they are there and not null.
    """
    context = (fingerprint, operation, settings.encode())
    digests = row_digests(rows, columns, *context, optional=optional)
    return digests.str.head(2 * ID_BYTES).str.decode("hex").alias("key")
