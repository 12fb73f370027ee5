"""Answers held to a structure: JSON Schema, regular expression, choice."""

from __future__ import annotations

import json
import re

import jsonschema
import polars as pl
import pytest

from prefdata.engines.base import Sampling, Structure
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.messages.columns import MESSAGES

pytestmark = pytest.mark.vllm

SCHEMA = {
    "type": "object",
    "properties": {
        "better": {"enum": ["A", "B", "tie"]},
        "scores": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    },
    "required": ["better", "scores"],
    "additionalProperties": False,
}


def asked(n: int) -> pl.DataFrame:
    messages = [{"role": "user", "content": "Which answer is better?"}]
    return pl.DataFrame(
        {
            "key": [i.to_bytes(16, "little") for i in range(n)],
            "messages": [messages] * n,
            "sample_index": list(range(n)),
        },
        schema_overrides={"messages": MESSAGES},
    )


def generate(policy: VllmEngine, structure: Structure) -> pl.DataFrame:
    settings = Sampling(max_tokens=200, structure=structure)
    assert policy.refusal("generate", settings) is None
    got = pl.concat(list(policy.generate(asked(20), settings)))
    assert got["error"].is_null().all()
    return got


def test_json_is_valid_by_its_schema(policy: VllmEngine) -> None:
    got = generate(policy, Structure(json_schema=json.dumps(SCHEMA)))
    assert set(got["finish_reason"]) == {"stop"}
    for text in got["text"]:
        jsonschema.validate(json.loads(text), SCHEMA)
    assert got["text"].n_unique() > 3


def test_a_regular_expression_matches_the_whole_answer(policy: VllmEngine) -> None:
    got = generate(policy, Structure(regex=r"[AB]: [0-9]{2,3}"))
    assert all(re.fullmatch(r"[AB]: [0-9]{2,3}", text) for text in got["text"])
    assert got["text"].n_unique() > 3


def test_a_choice_is_one_of_them(policy: VllmEngine) -> None:
    choices = ("the first", "the second", "neither")
    got = generate(policy, Structure(choice=choices))
    assert set(got["text"]) <= set(choices)
    assert got["text"].n_unique() > 1


def test_a_structure_that_is_none_is_each_requests_error(policy: VllmEngine) -> None:
    settings = Sampling(structure=Structure(regex="(unclosed"))
    got = pl.concat(list(policy.generate(asked(3), settings)))
    assert got.height == 3
    assert got["error"].str.starts_with("refused: ").all()
    # And the engine goes on.
    assert generate(policy, Structure(regex="[0-9]")).height == 20
