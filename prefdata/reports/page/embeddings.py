"""Embeddings that a run's memo has, for no model is asked here."""

from __future__ import annotations

import polars as pl

from prefdata.config.params import Params
from prefdata.engines.base import OPERATIONS, Settings
from prefdata.engines.registry import Engines
from prefdata.errors import PrefdataError
from prefdata.inference.keys import ENCODING, request_keys
from prefdata.inference.memo import Memo


def recall_embeddings(params: Params, model: str, texts: pl.DataFrame) -> pl.DataFrame:
    """The rows of `texts` that the memo has an embedding of, with `embedding`.

    None where the model's fingerprint can't be told, such as that of a server that is down.

    Args:
        params: The run's configuration.
        model: The embedder's name in it.
        texts: prompt_id, text, and columns to keep.
    """
    nothing = texts.clear().with_columns(embedding=pl.lit(None, pl.List(pl.Float32)))
    if params.memo is None or model not in params.models:
        return nothing
    try:
        engine = Engines(params.models)[model]
        asked = texts.select("text", "prompt_id")
        encoding = engine.describe_encoding("embed", asked)
        fingerprint = engine.fingerprint
    except (PrefdataError, OSError):
        return nothing
    if encoding is not None:
        asked = asked.with_columns(encoding.alias(ENCODING))
    columns = OPERATIONS["embed"].request
    keys = request_keys(fingerprint, "embed", Settings(), asked, columns, (ENCODING,))
    wanted = texts.with_columns(key=keys)
    found = Memo(params.memo).lookup("embed", fingerprint, wanted.select("key", "prompt_id"))
    known = found.select("key", "embedding").drop_nulls().unique("key", keep="first")
    return wanted.join(known, on="key", maintain_order="left").drop("key")
