"""One of the options, which the engine holds the reply to."""

from __future__ import annotations

from prefdata.engines.base import Structure
from prefdata.judges.asking.formats.base import WrittenFormat


class Choice(WrittenFormat):
    """The reply is an option and nothing else; it is checked all the same."""

    name = "choice"

    @property
    def structure(self) -> Structure:
        return Structure(choice=self.reply.options)
