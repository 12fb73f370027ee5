"""What a row holds: the value of a line, or of a row of an Arrow batch."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

from prefdata.errors import DropRecord


def parse_json(line: bytes) -> Any:
    """The value of a line of JSON, or a DropRecord with the reason why it can't be parsed."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        # Checked first, because orjson also reports invalid UTF-8 as a surrogate.
        text = decode_text(line)
        if isinstance(text, DropRecord):
            return text
        if "surrogate" in str(error):
            return DropRecord("invalid_unicode", f"a lone surrogate: {error}")
        return DropRecord("invalid_json", str(error))


def decode_text(line: bytes) -> str | DropRecord:
    """The text of a line, or a DropRecord with the reason why it is none."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        return DropRecord("invalid_unicode", f"not UTF-8: {error}")


def read_batch(batch: pa.RecordBatch) -> list[Any]:
    """The batch's rows; a DropRecord in place of one whose text is not UTF-8."""
    try:
        return list_values(batch)
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [DropRecord("invalid_unicode", f"not UTF-8: {error}")]
        return [row for n in range(batch.num_rows) for row in read_batch(batch.slice(n, 1))]


def list_values(batch: pa.RecordBatch) -> list[Any]:
    """The batch's rows; columns of JSON, and of lists of JSON, as the values.

    Raises:
        UnicodeDecodeError: A text is not UTF-8.
    """
    rows = batch.to_pylist()
    for field in batch.schema:
        depth, kind = 0, field.type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            depth, kind = depth + 1, kind.value_type
        if isinstance(kind, pa.JsonType):
            for row in rows:
                row[field.name] = _parse_texts(row[field.name], depth)
    return rows


def _parse_texts(value: Any, depth: int) -> Any:
    """The lists of JSON texts, `depth` deep, as lists of the values."""
    if value is None:
        return None
    if depth:
        return [_parse_texts(each, depth - 1) for each in value]
    parsed = parse_json(value.encode())
    # A text that is no JSON stays as it is: what reads the row says what it expected.
    return value if isinstance(parsed, DropRecord) else parsed
