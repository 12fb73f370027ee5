"""One of the options, to which the engine constrains the reply."""

from __future__ import annotations

from prefdata.engines.base import Structure
from prefdata.judges.asking.formats.base import WrittenFormat


class Choice(WrittenFormat):
    """The reply is one option and nothing else. It is checked all the same."""

    name = "choice"

    @property
    def structure(self) -> Structure:
        return Structure(choice=self.reply.options)
