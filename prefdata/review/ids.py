"""The ids of tasks, and which response stands first.

An id names its comparison, so that answers can be read without any file of the export. Which
response stands first follows from a digest of the id, not from which of the two is a.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from prefdata.hashing.ids import digest

_ID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})-([0-9a-f]{32})(-repeat)?")


class TaskId(NamedTuple):
    """A comparison as a task; `is_repeat` where it is shown for the second time, turned round."""

    prompt_id: str
    response_a: str
    response_b: str
    is_repeat: bool = False

    def __str__(self) -> str:
        return "-".join(self[:3]) + ("-repeat" if self.is_repeat else "")

    @property
    def comparison(self) -> tuple[str, str, str]:
        """prompt_id, response_a and response_b."""
        return self[:3]

    @property
    def a_is_first(self) -> bool:
        """Whether response a stands first."""
        half = digest([b"side", *(part.encode() for part in self.comparison)])[0] < "8"
        return half != self.is_repeat

    def read_choice(self, choice: str) -> float:
        """P(a ≻ b) of a choice: first, second or tie."""
        if choice == "tie":
            return 0.5
        return float((choice == "first") == self.a_is_first)


def parse_id(text: object) -> TaskId | None:
    """The task of this id; None where it is none."""
    found = _ID.fullmatch(text) if isinstance(text, str) else None
    return TaskId(found[1], found[2], found[3], found[4] is not None) if found else None
