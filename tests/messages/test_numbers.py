"""Numbers in JSON are read back by `datasets` as they are."""

from __future__ import annotations

import orjson
import pytest
from datasets.utils.json import ujson_loads
from hypothesis import example, given
from hypothesis import strategies as st

from prefdata.messages.numbers import encode_numbers


def places(most: int) -> st.SearchStrategy[float]:
    """Numbers of up to `most` decimal places, as arguments have them."""
    return st.builds(lambda n, p: n / 10**p, st.integers(-(10**9), 10**9), st.integers(0, most))


@given(st.lists(places(9)))
@example([48.856613, 2.3522219, -0.1, 0.0, 1e22, 1e-7])
def test_datasets_reads_fractions_as_they_are(numbers: list[float]) -> None:
    text = orjson.dumps(encode_numbers({"at": numbers, "n": 1}))
    assert orjson.loads(text) == ujson_loads(text) == {"at": numbers, "n": 1}


def test_only_what_would_be_misread_is_written_otherwise() -> None:
    misread = [n / 10**6 for n in range(48_856_000, 48_857_000)]
    misread = [n for n in misread if ujson_loads(orjson.dumps(n)) != n]
    assert misread, "datasets reads all numbers rightly: encode_numbers is of no use any more"
    for number in misread:
        assert b"e" in orjson.dumps(encode_numbers(number))
    for value in ({"a": [1, None, True, "0.1"]}, 0.5, 12):
        assert encode_numbers(value) == value


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_json_has_no_number_for_is_null(number: float) -> None:
    assert orjson.dumps(encode_numbers([number])) == b"[null]"
