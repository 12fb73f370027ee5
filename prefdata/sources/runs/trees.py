"""The runs of a task as a tree of turns: where runs part, their next turns are the responses.

Runs that begin alike share the path from the root, so a turn that they share is kept once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Literal, NamedTuple

from prefdata.sources.rows.conversations import Turn
from prefdata.sources.runs.run import PlacedTurn

SameTurn = Literal["calls", "text_and_calls", "all"]


class Choice(NamedTuple):
    """One of the turns by which an agent continues a prompt."""

    turn: Turn
    model: str | None
    outcome: float | None
    """The mean over the runs through it that have an outcome; None: none has."""
    runs: int


class Parting(NamedTuple):
    """A place where runs of a task part."""

    turns: list[Turn]
    """What they share."""
    tools: str | None
    choices: list[Choice]
    origin: str
    """The file and the row of the first choice."""


class _Node:
    __slots__ = ("children", "file", "model", "outcomes", "placed", "runs", "total")

    def __init__(self, placed: PlacedTurn | None, file: str, model: str | None) -> None:
        self.placed, self.file, self.model = placed, file, model
        self.children: dict[Hashable, _Node] = {}
        self.runs = self.outcomes = 0
        self.total = 0.0


class RunTree:
    """Runs that begin with the same turns and the same tools."""

    def __init__(self, tools: str | None, same_turn: SameTurn) -> None:
        self.tools, self.same_turn = tools, same_turn
        self._root = _Node(None, "", None)

    @property
    def runs(self) -> int:
        return self._root.runs

    def add(
        self, turns: list[PlacedTurn], file: str, model: str | None, outcome: float | None
    ) -> None:
        """Add a run."""
        node = self._root
        node.runs += 1
        for placed in turns:
            key = make_key(placed.turn, self.same_turn)
            following = node.children.get(key)
            if following is None:
                following = node.children[key] = _Node(placed, file, model)
            node = following
            node.runs += 1
            if outcome is not None:
                node.outcomes += 1
                node.total += outcome

    def partings(self) -> Iterator[Parting]:
        """Every place where at least two runs continue with different turns of the assistant."""
        path: list[Turn] = []
        # Nodes with their depth: a run may be longer than Python's stack.
        waiting = [(self._root, 0)]
        while waiting:
            node, depth = waiting.pop()
            if node.placed is not None:
                del path[depth - 1 :]
                path.append(node.placed.turn)
            following = list(node.children.values())
            choices = [child for child in following if _is_assistant(child)]
            if len(choices) > 1:
                first = choices[0]
                assert first.placed is not None
                yield Parting(
                    list(path),
                    self.tools,
                    [_make_choice(child) for child in choices],
                    f"{first.file}:{first.placed.number}",
                )
            # A subtree of one run parts nowhere.
            shared = [(child, depth + 1) for child in following if child.runs > 1]
            waiting.extend(reversed(shared))


def make_key(turn: Turn, same_turn: SameTurn) -> Hashable:
    """What must be equal in two turns that count as the same; ids of calls never count."""
    if turn.role != "assistant":
        return (turn.role, turn.content, turn.tool_call_id)
    calls = tuple((call["name"], call["arguments"]) for call in turn.tool_calls or ())
    text = None if calls and same_turn == "calls" else turn.content
    return (turn.role, text, calls, turn.thoughts if same_turn == "all" else None)


def _is_assistant(node: _Node) -> bool:
    return node.placed is not None and node.placed.turn.role == "assistant"


def _make_choice(node: _Node) -> Choice:
    assert node.placed is not None
    mean = node.total / node.outcomes if node.outcomes else None
    return Choice(node.placed.turn, node.model, mean, node.runs)
