"""A source of plain text: one prompt per line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from prefdata.errors import SourceError
from prefdata.files.rows import Row
from prefdata.sources.base import Source, SourceConfig
from prefdata.sources.frames import SourceRow
from prefdata.sources.rows.conversations import Turn


class PlainLinesConfig(SourceConfig):
    kind: Literal["plain_lines"] = "plain_lines"
    path: str = Field(description="A text file.", examples=["more.txt"])

    example: ClassVar = {"path": "prompts.txt"}


class PlainLines(Source):
    """Reads every line that is not blank as a prompt."""

    config: PlainLinesConfig

    @property
    def name(self) -> str:
        return self.config.path

    def check(self) -> None:
        if not Path(self.config.path).is_file():
            raise SourceError(f"{self.config.path}: no such file", "Correct the path.")

    def count_rows(self) -> int:
        return sum(1 for _ in self.rows())

    def rows(self) -> Iterator[Row]:
        with open(self.config.path, encoding="utf-8") as file:
            lines = [(n, line.strip()) for n, line in enumerate(file, 1) if line.strip()]
        for number, line in islice(lines, self.config.limit):
            yield Row(number, line, line)

    def parse(self, value: Any, max_prompt_chars: int) -> SourceRow:
        return SourceRow([Turn("user", value)])
