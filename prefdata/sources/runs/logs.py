"""The files of logs, and the runs in them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

from prefdata.errors import DropRecord, SourceError
from prefdata.files.rows import (
    Row,
    count_rows,
    guess_format,
    is_array,
    open_unpacked,
    read_rows,
)
from prefdata.files.storage import is_remote
from prefdata.files.values import parse_json
from prefdata.sources.base import NoFault
from prefdata.sources.rows.boundary import refuse_unreadable
from prefdata.sources.runs.forms import FORMS, Form, FormName, detect_form
from prefdata.sources.runs.run import LogRow, Run

_FORMATS = ("jsonl", "json", "parquet")
_FIRST_ROWS = 100
"""How many rows of a file are looked at for its form."""
_RAW_BYTES = 8_000
"""How much of a log is kept for its dropped record, which is cut to less."""


class Log(NamedTuple):
    """What a log says of one run, or why it says nothing."""

    file: str
    number: int
    """The row in the file where the run begins."""
    raw: bytes
    """Its beginning, as it stands in the file."""
    run: Run | DropRecord


def list_logs(path: str) -> list[str]:
    """The files that a path names, sorted: itself, those of a folder at any depth, or those that
    match a pattern. Raises SourceError if there are none."""
    expanded = os.path.expanduser(path)
    if is_remote(path) or os.path.isfile(expanded):
        return [path]
    try:
        if os.path.isdir(expanded):
            found = [str(file) for file in Path(expanded).rglob("*") if file.is_file()]
        else:
            found = [file for file in glob.glob(expanded, recursive=True) if os.path.isfile(file)]
    except OSError as error:
        raise SourceError(f"{path}: can't be listed: {error}", "Check the folder.") from error
    files = sorted(file for file in found if guess_format(file) in _FORMATS)
    if not files:
        raise SourceError(
            f"{path}: no .jsonl, .json or .parquet file is there",
            "Set path of the source to a file, a folder or a pattern such as logs/**/*.jsonl.",
        )
    return files


def find_form(path: str, named: FormName | Literal["auto"]) -> Form:
    """The form of the first file that has one. Raises SourceError if none of the files has one."""
    for file in list_logs(path):
        form = detect_form((row.value for row in islice(_rows(file), _FIRST_ROWS)), named)
        if form is not None:
            return form
    names = ", ".join(form.name for form in FORMS) if named == "auto" else named
    raise SourceError(
        f"{path}: holds no agent's log of the form {names}",
        "Check path and form of the source.",
    )


def count_runs(path: str, named: FormName | Literal["auto"]) -> int:
    """An upper bound on the number of runs in the files."""
    count = 0
    for file in list_logs(path):
        form = detect_form((row.value for row in islice(_rows(file), _FIRST_ROWS)), named)
        count += 1 if form is not None and form.whole_file else _count_rows(file)
    return count


def read_logs(path: str, named: FormName | Literal["auto"]) -> Iterator[Log]:
    """The runs of all files, one after the other, and what is no run. Raises SourceError."""
    files = list_logs(path)
    for file in files:
        yield from _read_file(file, named, alone=len(files) == 1)


def _read_file(file: str, named: FormName | Literal["auto"], alone: bool) -> Iterator[Log]:
    rows = _rows(file)
    first = list(islice(rows, _FIRST_ROWS))
    form = detect_form((row.value for row in first), named)
    if form is None:
        yield from _explain_rows(file, first, named, alone)
    elif form.whole_file:
        yield _read_session(file, form, chain(first, rows))
    else:
        for row in chain(first, rows):
            yield Log(file, row.number, _shorten(row), _read_row(form, row))


def _explain_rows(
    file: str, rows: list[Row], named: FormName | Literal["auto"], alone: bool
) -> Iterator[Log]:
    """A file without a known form: no fault in a folder, where other files may stand with logs."""
    broken = [row for row in rows if isinstance(row.value, DropRecord)]
    if rows and len(broken) == len(rows):
        yield from (Log(file, row.number, _shorten(row), row.value) for row in rows)
    elif rows:
        names = "no known form" if named == "auto" else f"not the form {named}"
        fault = (DropRecord if alone else NoFault)("no_log", f"the file has {names} of logs")
        yield Log(file, rows[0].number, _shorten(rows[0]), fault)


def _read_row(form: Form, row: Row) -> Run | DropRecord:
    if isinstance(row.value, DropRecord):
        return row.value
    if not isinstance(row.value, dict) or not form.is_row(row.value):
        return DropRecord("no_log", f"the row is not of the form {form.name}, as those before it")
    return _read(form, [LogRow(row.number, row.value)])


def _read_session(file: str, form: Form, rows: Iterator[Row]) -> Log:
    raw, number, values = b"", 1, []
    for row in rows:
        raw = raw or _shorten(row)
        if isinstance(row.value, DropRecord):
            # What stood there is not known, so neither is what the model saw behind it.
            fault = DropRecord("broken_line", f"line {row.number}: {row.value.problem}")
            return Log(file, row.number, _shorten(row), fault)
        if isinstance(row.value, dict):
            values.append(LogRow(row.number, row.value))
    return Log(file, number, raw, _read(form, values))


def _read(form: Form, rows: list[LogRow]) -> Run | DropRecord:
    try:
        with refuse_unreadable():
            return form.read(rows)
    except DropRecord as fault:
        return fault


def _rows(file: str) -> Iterator[Row]:
    """The rows of a file; a JSON file that is no array of rows is one row, or has one per line."""
    if guess_format(file) == "json" and not is_array(file):
        with open_unpacked(file) as content:
            raw = content.read()
        value = parse_json(raw)
        if not isinstance(value, DropRecord) or b"\n" not in raw.strip():
            yield Row(1, raw[:_RAW_BYTES], value)
            return
        lines = [parse_json(line) for line in islice(raw.splitlines(), 2)]
        if any(isinstance(line, DropRecord) for line in lines):
            yield Row(1, raw[:_RAW_BYTES], value)
            return
        yield from read_rows(file, "jsonl")
        return
    yield from read_rows(file, guess_format(file) or "jsonl")


def _count_rows(file: str) -> int:
    return count_rows(file, guess_format(file) or "jsonl")


def _shorten(row: Row) -> bytes:
    return (row.raw or row.text().encode("utf-8", "backslashreplace"))[:_RAW_BYTES]
