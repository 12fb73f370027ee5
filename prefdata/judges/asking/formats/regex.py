"""A text that matches a regular expression, which the engine holds the reply to."""

from __future__ import annotations

from prefdata.engines.base import Structure
from prefdata.judges.asking.formats.base import WrittenFormat


class Regex(WrittenFormat):
    """The reply is what is asked for and nothing else; it is checked all the same."""

    name = "regex"

    @property
    def structure(self) -> Structure:
        return Structure(regex=self.reply.regex)
