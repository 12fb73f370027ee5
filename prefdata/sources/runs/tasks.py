"""Runs, task by task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from prefdata.errors import DropRecord
from prefdata.hashing.ids import digest
from prefdata.sources.base import NoFault
from prefdata.sources.rows.conversations import encode_structure
from prefdata.sources.runs.logs import Log
from prefdata.sources.runs.run import Run
from prefdata.sources.runs.trees import Parting, RunTree, SameTurn


class Outcast(NamedTuple):
    """A run that makes no parting, and why."""

    file: str
    number: int
    raw: bytes
    reason: DropRecord


class _Member(NamedTuple):
    file: str
    number: int
    raw: bytes


class Tasks:
    """All runs by their task, each task's as trees: one for each beginning that its runs have."""

    def __init__(self, same_turn: SameTurn) -> None:
        self.same_turn = same_turn
        self._trees: dict[str, dict[str, tuple[RunTree, list[_Member]]]] = {}

    def add(self, log: Log, run: Run, task: str | None, outcome: float | None) -> None:
        """Add a run.

        Args:
            log: Where it was read.
            run: The run.
            task: The task's id; None: runs that begin alike are of one task.
            outcome: Its outcome; None: not known.

        Raises:
            DropRecord: The assistant says nothing in it.
        """
        opening = make_opening(run)
        trees = self._trees.setdefault(opening if task is None else f"task {task}", {})
        if opening not in trees:
            trees[opening] = (RunTree(run.tools, self.same_turn), [])
        tree, members = trees[opening]
        tree.add(run.turns, log.file, run.model, outcome)
        members.append(_Member(log.file, log.number, log.raw))

    def partings(self) -> Iterator[Parting | Outcast]:
        """What every task yields: where its runs part, or why they don't."""
        for task, trees in self._trees.items():
            # The first of the beginnings that most runs have.
            right = max(trees, key=lambda opening: trees[opening][0].runs)
            for opening, (tree, members) in trees.items():
                if opening != right:
                    yield from _refuse_members(members, task, trees[right][1][0])
                    continue
                yield from _list_partings(tree, members)


def make_opening(run: Run) -> str:
    """A digest of the run's tools and its turns before the first of the assistant: what it was
    asked to do. Raises DropRecord if the assistant has no turn."""
    roles = [turn.role for _, turn in run.turns]
    if "assistant" not in roles:
        raise DropRecord("no_assistant_turn", "the run holds no turn of the assistant")
    turns = [turn for _, turn in run.turns[: roles.index("assistant")]]
    said = [part for turn in turns for part in (turn.role, turn.content)]
    return digest(part.encode() for part in [*said, encode_structure(turns, run.tools)])


def _list_partings(tree: RunTree, members: list[_Member]) -> Iterator[Parting | Outcast]:
    if len(members) == 1:
        yield Outcast(*members[0], NoFault("lone_run", "no other run of its task is known"))
        return
    none = True
    for parting in tree.partings():
        none = False
        yield parting
    if none:
        detail = f"at no turn do the agents of the task's {len(members)} runs do different things"
        yield Outcast(*members[0], NoFault("no_parting", detail))


def _refuse_members(members: list[_Member], task: str, other: _Member) -> Iterator[Outcast]:
    detail = (
        f"{task}: its system turn, tools or first user turn differ from those at "
        f"{other.file}:{other.number}, which has the same task"
    )
    remedy = "task_field of the source, or `task` in its outcomes, names the task."
    for member in members:
        yield Outcast(*member, DropRecord("different_tasks", detail, remedy))
