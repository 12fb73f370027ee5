"""The task and the outcome of a run: from a file of outcomes, from its log, or from the
`result.json` of Harbor's trial, in whose folder `agent` the log lies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from prefdata.errors import DropRecord, SourceError
from prefdata.files.rows import Format, format_of, read_values
from prefdata.files.storage import is_remote
from prefdata.files.values import parse_json
from prefdata.sources.runs.run import Run, read_outcome

_TASKS = ("task_id", "task", "instance_id", "task_name")
_OUTCOMES = ("outcome", "reward", "score", "success", "resolved")
_INSIDE = ("", "extra.", "final_metrics.extra.", "metadata.")
"""Where the logs put what their form has no field for."""

_FORMATS: tuple[Format, ...] = ("jsonl", "json", "csv", "parquet")
_TRIAL_REWARD = "verifier_result.rewards.reward"


class Listed(NamedTuple):
    """What the file of outcomes says of a run."""

    task: str | None
    outcome: float


class Outcomes:
    """Finds the task and the outcome of each run.

    Args:
        task_field: The log's field of the task; None: the first known one that is there.
        outcome_field: The log's field of the outcome; None: the first known one that is there.
        path: A file of outcomes; None: none. Raises SourceError if it can't be read.
    """

    def __init__(self, task_field: str | None, outcome_field: str | None, path: str | None) -> None:
        self.task_field, self.outcome_field, self.path = task_field, outcome_field, path
        self._listed = {} if path is None else _read_outcomes(path)

    def find_task(self, run: Run, file: str) -> str | None:
        """The id of the run's task; None: runs that begin alike are of one task."""
        listed = self._find_listed(run, file)
        if listed is not None and listed.task is not None:
            return listed.task
        if self.task_field is None:
            names = [f"{inside}{name}" for inside in _INSIDE for name in _TASKS]
            found = next((v for n in names if (v := look_up(run.fields, n)) is not None), None)
            if found is None:
                found = _read_trial(file).get("task_name")
            return str(found) if isinstance(found, str | int) else None
        found = look_up(run.fields, self.task_field)
        if not isinstance(found, str | int) or found == "":
            raise DropRecord(
                "no_task",
                f"{self.task_field!r} is {found!r:.80}, expected the task's id",
                "task_field of the source names it.",
            )
        return str(found)

    def find_outcome(self, run: Run, file: str) -> float | None:
        """The run's outcome; None: the log has none, and the settings don't ask for one.

        Raises:
            DropRecord: It is no number, or is missing where the settings say where it stands.
        """
        listed = self._find_listed(run, file)
        if listed is not None:
            return listed.outcome
        names = [self.outcome_field] if self.outcome_field else _list_outcomes()
        for name in names:
            found = look_up(run.fields, name)
            if found is not None:
                return read_outcome(found, name)
        found = None if self.outcome_field else look_up(_read_trial(file), _TRIAL_REWARD)
        if found is not None:
            return read_outcome(found, f"{_TRIAL_REWARD} of its trial")
        if self.outcome_field or self.path:
            place = repr(self.outcome_field) if self.outcome_field else str(self.path)
            raise DropRecord(
                "no_outcome",
                f"{place} has no outcome of the run {', '.join(_name_run(run, file))}",
                "Set outcome_field or outcomes of the source, or neither of them to let judges "
                "alone compare the turns.",
            )
        return None

    def _find_listed(self, run: Run, file: str) -> Listed | None:
        names = _name_run(run, file)
        return next((self._listed[name] for name in names if name in self._listed), None)


def look_up(row: Mapping[str, Any], name: str) -> Any:
    """The value of a field, such as `reward` or `extra.reward`; None where it is not."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _read_trial(file: str) -> Mapping[str, Any]:
    """What Harbor says of the trial that wrote the log; empty where it was none."""
    folder, name = os.path.split(os.path.dirname(file))
    result = os.path.join(folder, "result.json")
    if name != "agent" or is_remote(file) or not os.path.isfile(result):
        return {}
    with open(result, "rb") as content:
        value = parse_json(content.read())
    return value if isinstance(value, dict) else {}


def _list_outcomes() -> Sequence[str]:
    return [f"{inside}{name}" for inside in _INSIDE for name in _OUTCOMES]


def _name_run(run: Run, file: str) -> list[str]:
    """The names by which a file of outcomes may call a run: its ids, the file's path, its name, and
    its name without ending."""
    name = os.path.basename(file)
    return [*run.ids, file, name, name.split(".")[0]]


def _read_outcomes(path: str) -> dict[str, Listed]:
    listed: dict[str, Listed] = {}
    for number, row in enumerate(read_values(path, format_of(path, _FORMATS)), 1):
        where = f"{path}, row {number}"
        field = next((name for name in _OUTCOMES if isinstance(row, dict) and name in row), None)
        if field is None or not row.get("run"):
            raise SourceError(
                f"{where}: expected `run` and one of {', '.join(_OUTCOMES)}, found {row!r:.80}",
                "Give every row of outcomes its run (session id or file name) and its outcome.",
            )
        try:
            outcome = read_outcome(_read_number(row[field]), f"{where}, {field}")
        except DropRecord as fault:
            raise SourceError(fault.problem) from fault
        said = Listed(str(row["task"]) if row.get("task") else None, outcome)
        if listed.setdefault(str(row["run"]), said) != said:
            raise SourceError(
                f"{where}: says something else of the run {row['run']!r} than a row before it",
                "Keep one row per run.",
            )
    return listed


def _read_number(value: Any) -> Any:
    """The number of a text, as CSV has it; anything else unchanged."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
