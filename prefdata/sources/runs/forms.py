"""The forms of agents' logs, told apart by their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from prefdata.sources.runs.atif import is_atif, read_atif
from prefdata.sources.runs.claude_code import is_claude_code, read_session
from prefdata.sources.runs.codex import is_codex, read_rollout
from prefdata.sources.runs.messages import is_messages, read_run
from prefdata.sources.runs.run import LogRow, Run

FormName = Literal["messages", "atif", "claude_code", "codex"]


class Form(NamedTuple):
    """A form of logs."""

    name: FormName
    is_row: Callable[[Mapping[str, Any]], bool]
    """Whether a row is of this form."""
    read: Callable[[Sequence[LogRow]], Run]
    """Reads the rows of a run. Raises DropRecord."""
    whole_file: bool
    """Whether a file is one run, rather than each of its rows."""


FORMS: tuple[Form, ...] = (
    Form("atif", is_atif, read_atif, whole_file=False),
    Form("messages", is_messages, read_run, whole_file=False),
    Form("codex", is_codex, read_rollout, whole_file=True),
    Form("claude_code", is_claude_code, read_session, whole_file=True),
)


def detect_form(values: Iterable[Any], named: FormName | Literal["auto"] = "auto") -> Form | None:
    """The form of the first row that has one; None: none of the rows has one.

    Args:
        values: The rows' values.
        named: The only form to look for; auto: any.
    """
    forms = [form for form in FORMS if named in ("auto", form.name)]
    rows = (value for value in values if isinstance(value, dict))
    return next((form for row in rows for form in forms if form.is_row(row)), None)
