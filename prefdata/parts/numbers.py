"""The types of the numbers in settings, each with the bounds beyond which a value is a mistake.

A number of a setting has one of these types, or `Whole` or `Real` with bounds of its own: then nan
and infinity are refused, and so are true and false, which Python takes for 1 and 0. Where null or a
text may stand instead, bounds of its own stand in the type: `Annotated[int, Field(...), NUMBER]`.
`JsonObject` is for settings that are passed on to a model or server as JSON.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, JsonValue


def _refuse_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"a number was expected, found {str(value).lower()}")
    return value


def _check_json(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # The one knows no nan and no infinity, the other no integer beyond 64 bits and no surrogate.
    json.dumps(value, allow_nan=False)
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"JSON can't say it: {error}") from error
    return value


NUMBER = BeforeValidator(_refuse_truth)
"""Behind the bounds of a number's type: true and false are none."""

Whole = Annotated[int, NUMBER]
"""An integer, for a setting with bounds of its own."""
Real = Annotated[float, NUMBER]
"""A number, for a setting with bounds of its own."""

Fraction = Annotated[float, Field(ge=0, le=1), NUMBER]
"""A share or a probability."""
Share = Annotated[float, Field(gt=0, le=1), NUMBER]
"""A share that holds something."""
Count = Annotated[int, Field(gt=0, le=1_000_000_000), NUMBER]
"""A number of rows, pairs, characters: more than there are of anything, and within 32 bits."""
Limit = Annotated[int, Field(ge=0, le=1_000_000_000), NUMBER]
"""A limit on such a number, which may be 0."""
Tokens = Annotated[int, Field(gt=0, le=10_000_000), NUMBER]
"""The length of a text in tokens: up to the longest context of any model."""
Samples = Annotated[int, Field(ge=0, le=10_000), NUMBER]
"""Samples per prompt. Every two of them are compared, so the work grows with the square."""
Temperature = Annotated[float, Field(ge=0, le=100), NUMBER]
"""The temperature of sampling."""
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1), NUMBER]
"""A seed: any integer of 64 bits."""
Scale = Annotated[float, Field(gt=0, le=1e9), NUMBER]
"""A factor between two units, such as the points of a scale per unit of log-odds."""
Weight = Annotated[float, Field(ge=0, le=1e9), NUMBER]
"""A weight beside others."""
Quantity = Annotated[float, Field(ge=-1e30, le=1e30), NUMBER]
"""An amount in any unit, of either sign."""
Seconds = Annotated[float, Field(gt=0, le=604_800), NUMBER]
"""A time limit on a server: up to a week."""
CpuSeconds = Annotated[int, Field(gt=0, le=3_600), NUMBER]
"""A time limit on the check of one response."""

JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_check_json)]
"""Named values that are passed on as JSON."""
