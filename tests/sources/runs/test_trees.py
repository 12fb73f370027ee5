"""Trees of runs: every place where runs part is found, however the runs are ordered."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from prefdata.sources.rows.conversations import Turn
from prefdata.sources.runs.run import PlacedTurn, settle_turns
from prefdata.sources.runs.trees import RunTree

Texts = list[str]
Found = dict[tuple[str, ...], dict[str, float]]

runs_of_a_task = st.lists(
    st.tuples(st.lists(st.sampled_from("ab"), min_size=1, max_size=6), st.integers(0, 3)),
    max_size=8,
)


def make_turns(said: Texts) -> list[PlacedTurn]:
    """The user asks; then the agent and the user speak in turn."""
    roles = ("user", "assistant")
    return [PlacedTurn(1, Turn(roles[n % 2], text)) for n, text in enumerate(["Go.", *said])]


def find_partings(runs: list[tuple[Texts, int]]) -> Found:
    """Shared texts -> text of each choice -> its mean outcome."""
    tree = RunTree(None, "text_and_calls")
    for said, outcome in runs:
        tree.add(make_turns(said), "f", None, float(outcome))
    return {
        tuple(turn.content for turn in parting.turns): {
            choice.turn.content: choice.outcome or 0.0 for choice in parting.choices
        }
        for parting in tree.partings()
    }


@given(runs_of_a_task, st.randoms())
def test_all_partings_are_found_in_any_order(runs: list[tuple[Texts, int]], order: object) -> None:
    outcomes: dict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for said, outcome in runs:
        for place in range(0, len(said), 2):
            outcomes["Go.", *said[:place]][said[place]].append(outcome)
    wanted = {
        shared: {text: sum(each) / len(each) for text, each in choices.items()}
        for shared, choices in outcomes.items()
        if len(choices) > 1
    }
    assert find_partings(runs) == wanted
    shuffled = list(runs)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert find_partings(shuffled) == wanted
    # Runs of one task part at fewer places than there are runs.
    assert not runs or len(wanted) < len(runs)


def test_a_run_may_be_longer_than_the_stack() -> None:
    said = ["a", "b"] * 5_000
    found = find_partings([([*said, "x"], 1), ([*said, "y"], 0)])
    assert [(len(shared), choices) for shared, choices in found.items()] == [
        (10_001, {"x": 1.0, "y": 0.0})
    ]


def test_what_an_agent_did_not_get_to_say_is_no_turn() -> None:
    turns = make_turns(["I look.", "And?", ""])
    assert [turn.content for _, turn in settle_turns(turns)] == ["Go.", "I look.", "And?"]


def test_turns_of_one_role_are_one_turn() -> None:
    said = [("user", "Go."), ("user", "Please."), ("assistant", ""), ("assistant", "Yes.")]
    turns = settle_turns([PlacedTurn(n, Turn(role, text)) for n, (role, text) in enumerate(said)])
    assert [(number, turn.content) for number, turn in turns] == [
        (0, "Go.\n\nPlease."),
        (2, "Yes."),
    ]
