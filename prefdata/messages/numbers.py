"""Numbers in JSON that `datasets` reads back as they are.

It reads JSON by a parser that takes the digits before and behind the point as two numbers, divides
and adds: of 100 coordinates such as 48.856613 it reads one as 48.856612999999996, and a model would
be trained on the tokens of that. The same number with its point elsewhere is read rightly.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import orjson

_SHIFTS = (1, -1, 2, -2, 3, -3, 4, -4, 5, 6, 7, 8)


def encode_numbers(value: Any) -> Any:
    """The value with each fraction that would be misread in another notation, for orjson."""
    if isinstance(value, dict):
        return {key: encode_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [encode_numbers(each) for each in value]
    return _encode_fraction(value) if isinstance(value, float) else value


def _encode_fraction(value: float) -> Any:
    """`48.856613` becomes `488.56613e-1` where it would be misread."""
    from datasets.utils.json import ujson_loads

    if not math.isfinite(value) or ujson_loads(orjson.dumps(value)) == value:
        return value
    written = Decimal(repr(value))
    texts = (f"{written.scaleb(shift):f}e{-shift}" for shift in _SHIFTS)
    return next((orjson.Fragment(t) for t in texts if ujson_loads(t) == value), value)
