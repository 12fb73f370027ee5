"""What each consumer would do with the dataset as it stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from prefdata.checks.base import MOST_EXAMPLES, CheckedDataset, Example, Finding, Found, Severity
from prefdata.consumers.base import Consumer, Effect, Problem
from prefdata.consumers.registry import CONSUMERS
from prefdata.errors import ConfigError
from prefdata.text.similar_names import suggest_name

_VERBS: dict[Effect, str] = {
    "refuses": "can't take",
    "crashes": "stops at",
    "drops": "drops",
    "cuts": "cuts",
    "misreads": "misreads",
    "reads": "takes",
}
_SEVERITY: dict[Effect, Severity] = {
    "refuses": "note",
    "drops": "note",
    "reads": "note",
    "crashes": "warning",
    "cuts": "warning",
    "misreads": "warning",
}
"""How grave a problem is with a consumer that nobody named; with a named one all but `reads` are
errors."""
_OF_THE_FORM: Collection[Effect] = ("refuses", "drops", "cuts", "misreads")
"""Where all rows have one of these, the whole form is not meant for the consumer: no finding,
unless it was named."""


@dataclass
class Fate:
    """The rows that meet the same problem."""

    problem: Problem
    count: int = 0
    lost: int = 0
    turns: int = 0
    places: list[str] = field(default_factory=list)


@dataclass
class Outlook:
    """What a consumer does with the dataset.

    Attributes:
        taken: The number of rows that it takes.
        taken_as: The forms that it takes them for, with the rows of each.
        fates: The problems.
    """

    consumer: Consumer
    rows: int = 0
    taken: int = 0
    taken_as: dict[str, int] = field(default_factory=dict)
    fates: list[Fate] = field(default_factory=list)

    def describe(self) -> str:
        """In a sentence or two, such as "takes all 40 rows as explicit prompt"."""
        parts = [
            f"takes {_count(count, self.rows)} as {name}" for name, count in self.taken_as.items()
        ]
        return "; ".join([*parts, *(describe_fate(fate, self.rows) for fate in self.fates)])


def describe_fate(fate: Fate, rows: int) -> str:
    """Such as "drops all 40 rows: chosen is a list"."""
    problem = fate.problem
    if problem.effect == "cuts" and fate.turns:
        lost = f"cuts {fate.lost / fate.turns:.0%} of the turns of {_count(fate.count, rows)}"
        return f"{lost}: {problem.what}"
    return f"{_VERBS[problem.effect]} {_count(fate.count, rows)}: {problem.what}"


def _count(count: int, rows: int) -> str:
    return f"all {rows:,} rows" if count == rows else f"{count:,} of {rows:,} rows"


def foresee(dataset: CheckedDataset, consumer: Consumer) -> Outlook:
    """What a consumer does with all rows, asked about one row of each form."""
    outlook = Outlook(consumer)
    fates: dict[tuple[str, str], Fate] = {}
    for form in dataset.forms:
        row = {name: value for name, value in form.row.items() if name in consumer.reads}
        reading = consumer.read(row)
        outlook.rows += form.count
        if reading.taken_as:
            outlook.taken += form.count
            before = outlook.taken_as.get(reading.taken_as, 0)
            outlook.taken_as[reading.taken_as] = before + form.count
        for problem in reading.problems:
            fate = fates.setdefault((problem.effect, problem.what), Fate(problem))
            fate.count += form.count
            fate.lost += problem.lost * form.count
            fate.turns += problem.turns * form.count
            fate.places += form.places
    outlook.fates = sorted(fates.values(), key=lambda fate: (-fate.count, fate.problem))
    return outlook


def foresee_all(dataset: CheckedDataset) -> list[Outlook]:
    """What every consumer does with the dataset: first those that take most of it."""
    outlooks = [foresee(dataset, CONSUMERS.parse({"kind": kind})) for kind in CONSUMERS.parts]
    return sorted(outlooks, key=lambda each: (-each.taken, sum(f.count for f in each.fates)))


def check_consumers(outlooks: Collection[Outlook], found: Found, named: Collection[str]) -> None:
    """The problems of the consumers: graver with those that the user named."""
    for outlook in outlooks:
        found.findings += _list_findings(outlook, outlook.consumer.kind in named)


def _list_findings(outlook: Outlook, is_named: bool) -> Iterator[Finding]:
    for fate in outlook.fates:
        effect = fate.problem.effect
        severity = _SEVERITY[effect]
        if is_named and effect != "reads":
            severity = "error"
        if not is_named and effect in _OF_THE_FORM and fate.count == outlook.rows:
            continue
        yield Finding(
            f"{outlook.consumer.kind}_{effect}",
            severity,
            f"{outlook.consumer.title} {describe_fate(fate, outlook.rows)}",
            fate.problem.remedy,
            fate.count,
            outlook.rows,
            [Example(place) for place in fate.places[:MOST_EXAMPLES]],
        )


def check_names(named: Collection[str]) -> None:
    """Raise ConfigError where a name is no consumer's."""
    for name in named:
        if name not in CONSUMERS.parts:
            raise ConfigError(
                f"--for {name}: no such consumer{suggest_name(name, CONSUMERS.parts)}",
                f"Known: {', '.join(CONSUMERS.parts)}.",
            )
