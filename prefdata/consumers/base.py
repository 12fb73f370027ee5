"""The contract of a consumer: what it takes a row for, and what is lost or goes wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from prefdata.parts import Part, PartConfig

Row = Mapping[str, Any]

Effect = Literal["refuses", "crashes", "drops", "cuts", "misreads", "reads"]
"""What a problem does: the form is none that it takes; training stops with an error; the row is
left out; a part of the row is lost; it is trained on as something that it does not mean; a column
is read that may mean something else."""


class Problem(NamedTuple):
    """What is wrong with a row for a consumer."""

    effect: Effect
    what: str
    """What was found and what the consumer makes of it: a clause."""
    remedy: str
    """What to change: a sentence."""
    lost: int = 0
    """Turns that are lost, where some are."""
    turns: int = 0
    """Turns of the chosen and the rejected conversation, where some are lost."""


class Reading(NamedTuple):
    """What a consumer makes of a row."""

    taken_as: str | None
    """The form that it takes the row for; None: it can't take it."""
    problems: Sequence[Problem] = ()


def refuse(what: str, remedy: str) -> Reading:
    """The reading of a row whose form the consumer does not take."""
    return Reading(None, (Problem("refuses", what, remedy),))


def stop(what: str, remedy: str) -> Reading:
    """The reading of a row that has the columns that the consumer asks for, but stops it."""
    return Reading(None, (Problem("crashes", what, remedy),))


class ConsumerConfig(PartConfig):
    """A consumer has no settings."""


class Consumer(Part):
    """A trainer or service, and what it does with a row as it stands.

    The docstring names the package, its version and the function in which the rules were read.
    """

    config: ConsumerConfig

    title: ClassVar[str]
    """Its name and version, such as "TRL 1.16 DPOTrainer"."""
    reads: ClassVar[frozenset[str]]
    """All columns that `read` looks at; it sees no others."""
    exports: ClassVar[Sequence[str]] = ()
    """The kinds of exports that are made for it."""

    @abstractmethod
    def read(self, row: Row) -> Reading:
        """What it makes of a row.

        It may go by the columns, by types and roles, by which texts are equal or blank, and by how
        the texts of two columns begin: rows that are alike in these have one form (forms.py), and
        are asked about once.
        """
