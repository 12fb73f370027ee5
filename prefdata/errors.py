"""Every error of prefdata, by what the caller should do about it.

`AbortError`: stop before more is lost. `DropRecord`: set this record aside with its reason and go
on.
"""

from __future__ import annotations


class PrefdataError(Exception):
    """The root. `problem` says what was found, `remedy` which setting or step mends it."""

    exit_code = 1

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  remedy: {self.remedy}" if self.remedy else self.problem


class AbortError(PrefdataError):
    """The run can't go on."""


class ConfigError(AbortError):
    """params.yaml or the command line is wrong."""

    exit_code = 2


class SourceError(AbortError):
    """A source file as a whole can't be read: missing, other columns, not what its name says."""


class TableError(AbortError):
    """A table is missing, half-written, or was written by another schema version."""


class StorageError(AbortError):
    """The disk or folder refuses the write: full, read-only, not a folder."""


class FolderInUse(AbortError):
    """Another run works in the folder."""

    exit_code = 2


class ModelError(AbortError):
    """A model can't be loaded, or can't do what the configuration asks of it."""


class HubError(AbortError):
    """The Hugging Face hub can't be reached, or refuses."""


class AccountingError(AbortError):
    """Rows in did not equal rows out plus dropped: a defect of the stage, never of the data."""


class TooManyFaulty(AbortError):
    """More faulty records than `max_faulty_fraction` allows; all tables were still written."""

    exit_code = 3


class NoPairs(AbortError):
    """The flow came to no pair, so there is no dataset; the tables were written."""

    exit_code = 3


class Unsound(AbortError):
    """What was verified is not as it is to be; the findings were printed."""

    exit_code = 3


class DropRecord(PrefdataError):
    """One record is at fault. `reason` is a short code for counting, `problem` the detail."""

    def __init__(self, reason: str, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.args = (reason, problem, remedy)
        self.reason = reason
