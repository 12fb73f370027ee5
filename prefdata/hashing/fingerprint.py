"""The fingerprint of a configuration."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel


def fingerprint(config: BaseModel, *others: str) -> str:
    """32 hex characters over the configuration's content, whatever the order of its keys."""
    import orjson

    content = orjson.dumps(config.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\0".join([content, *map(str.encode, others)])).hexdigest()[:32]
