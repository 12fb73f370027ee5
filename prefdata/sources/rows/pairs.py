"""The pairs that a row of a dataset holds, by its own annotations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any, NamedTuple

from prefdata.errors import DropRecord
from prefdata.files.rows import Row
from prefdata.records.annotation import AnnotationKind
from prefdata.sources.base import NoFault
from prefdata.sources.dataset_source import AnnotatedRecord, DatasetSource
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.boundary import refuse_unreadable

NO_PAIR = DropRecord("tie", "no response is preferred to another")


class RowPair(NamedTuple):
    """A pair, its sides in the columns of `ExistingResponse`."""

    prompt_id: str
    row: SourceRow
    chosen: dict[str, Any]
    rejected: dict[str, Any]

    @property
    def ids(self) -> tuple[str, str, str]:
        """The ids of the prompt, the chosen and the rejected response."""
        return self.prompt_id, self.chosen["response_id"], self.rejected["response_id"]


class ReadRecord(NamedTuple):
    """A record of a row: what was read of it, or the reason why it was dropped."""

    row: SourceRow | None
    reason: DropRecord | None

    @property
    def is_fault(self) -> bool:
        """Whether the record is at fault, unlike a tie."""
        return self.reason is not None and not isinstance(self.reason, NoFault)


def find_annotations(source: DatasetSource) -> AnnotationKind:
    """The kind of annotations that says which responses the dataset prefers: that of the first one.
    Raises SourceError where its rows can't be read at all."""
    for row in islice(source.dataset.rows(), source.config.limit):
        for record in source.list_records(row):
            if isinstance(record.value, AnnotatedRecord) and record.value.given is not None:
                return record.value.given.kind
    return source.annotation_kinds[0]


def read_records(source: DatasetSource, row: Row, max_prompt_chars: int) -> Iterator[ReadRecord]:
    """The records of a row, one for each annotation."""
    for record in source.list_records(row):
        try:
            if isinstance(record.value, DropRecord):
                raise record.value
            with refuse_unreadable():
                read = ReadRecord(source.parse(record.value, max_prompt_chars), None)
        except DropRecord as reason:
            read = ReadRecord(None, reason)
        yield read


def list_pairs(read: SourceRow, annotations: AnnotationKind) -> Iterator[RowPair]:
    """The pairs of a record: of every two responses of which its annotation of this kind prefers
    one."""
    given = read.annotation
    if given is None or given["kind"] != annotations:
        return
    responses = {each["response_id"]: each for each in read.responses or ()}
    sign = -1 if annotations == "ranking" else 1
    values = list(zip(given["responses"], (sign * v for v in given["values"]), strict=True))
    prompt = read.prompt_id()
    for (chosen, high), (rejected, low) in product(values, values):
        if high > low:
            yield RowPair(prompt, read, responses[chosen], responses[rejected])
