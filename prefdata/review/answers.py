"""People's answers: what counts as a judgment, and why the others do not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prefdata.review.ids import TaskId, parse_id

Choice = Literal["first", "second", "tie"]

REASONS = {
    "no_task": "the row is no task of a review, or its id is none",
    "not_answered": "nobody answered the task",
    "draft": "an annotator began to answer, and did not submit",
    "skipped": "an annotator skipped or discarded the task",
    "no_status": "it is not said whether the answer was submitted: see --take-unmarked",
    "no_annotator": "the answer names no annotator",
    "no_choice": "the answer chooses neither a response nor a tie",
    "two_choices": "the answer chooses a response and a tie",
    "unknown_choice": "the answer is none that the task offers",
    "gone": "the comparison is not in this run",
    "repeated": "the annotator gave the same answer to the comparison elsewhere",
    "contradictory": "the annotator answered the comparison in two ways; none of them counts",
}
"""Why an answer is no judgment."""


@dataclass(frozen=True)
class Answer:
    """A person's answer to a task, as a tool exports it. `fault` is one of REASONS, where it can't
    count."""

    id: object
    annotator: str | None = None
    choice: Choice | None = None
    comment: str | None = None
    fault: str | None = None
    stratum: str | None = None
    probability: float | None = None
    origin: str = ""


@dataclass
class AnnotatorCounts:
    """The judgments of one annotator; `first` are those for the response that stood first."""

    judgments: int = 0
    ties: int = 0
    first: int = 0
    repeats: int = 0
    consistent: int = 0


@dataclass
class Collected:
    """What people said.

    Attributes:
        judgments: Rows of `PersonJudgment`, in the order of their keys.
        left_out: By reason, (where, what) of each answer that is no judgment.
        annotators: Counts, by annotator.
        drawn: (stratum, probability of being drawn) of each comparison judged, where known.
    """

    judgments: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    annotators: dict[str, AnnotatorCounts] = field(default_factory=dict)
    drawn: dict[tuple[str, str, str], tuple[str, float]] = field(default_factory=dict)

    def leave_out(self, answer: Answer, reason: str) -> None:
        """Count an answer that is no judgment."""
        whose = f"annotator {answer.annotator}" if answer.annotator else "no annotator"
        self.left_out[reason].append((answer.origin, f"{answer.id}, {whose}"))


def collect_judgments(
    answers: Iterable[Answer], comparisons: Collection[tuple[str, str, str]]
) -> Collected:
    """The judgments in people's answers, each comparison turned back to a and b.

    A comparison that was shown twice counts once, by its first showing; the second one says how
    consistent its annotator is. If an annotator answered the same showing twice in the same way, it
    counts once; in two ways, not at all.

    Args:
        answers: The answers, of any number of exports.
        comparisons: (prompt_id, response_a, response_b) of the run.
    """
    found = Collected()
    by_task: dict[tuple[str, TaskId], list[Answer]] = defaultdict(list)
    for answer in answers:
        task = parse_id(answer.id)
        reason = _find_fault(answer, task, comparisons)
        if reason or task is None or answer.annotator is None:
            found.leave_out(answer, reason or "no_task")
            continue
        by_task[answer.annotator, task].append(answer)
        chance = answer.probability
        if isinstance(answer.stratum, str) and isinstance(chance, int | float) and 0 < chance <= 1:
            found.drawn[task.comparison] = (answer.stratum, chance)
    sound = dict(_settle(by_task, found))
    for (annotator, task), answer in sorted(sound.items()):
        _count(found, annotator, task, answer, sound)
    return found


def _find_fault(
    answer: Answer, task: TaskId | None, comparisons: Collection[tuple[str, str, str]]
) -> str | None:
    if task is None:
        return "no_task"
    if answer.fault is not None:
        return answer.fault
    if not answer.annotator:
        return "no_annotator"
    if answer.choice is None:
        return "no_choice"
    return None if task.comparison in comparisons else "gone"


def _settle(
    by_task: Mapping[tuple[str, TaskId], list[Answer]], found: Collected
) -> Iterable[tuple[tuple[str, TaskId], Answer]]:
    """The one answer of each annotator to each task."""
    for key, answers in by_task.items():
        choices = Counter(answer.choice for answer in answers)
        if len(choices) > 1:
            for answer in answers:
                found.leave_out(answer, "contradictory")
            continue
        for answer in answers[1:]:
            found.leave_out(answer, "repeated")
        yield key, answers[0]


def _count(
    found: Collected,
    annotator: str,
    task: TaskId,
    answer: Answer,
    sound: Mapping[tuple[str, TaskId], Answer],
) -> None:
    assert answer.choice is not None
    preference = task.read_choice(answer.choice)
    counts = found.annotators.setdefault(annotator, AnnotatorCounts())
    first_shown = sound.get((annotator, task._replace(is_repeat=False)))
    if task.is_repeat and first_shown is not None:
        assert first_shown.choice is not None
        earlier = task._replace(is_repeat=False).read_choice(first_shown.choice)
        counts.repeats += 1
        counts.consistent += earlier == preference
        return
    counts.judgments += 1
    counts.ties += answer.choice == "tie"
    counts.first += answer.choice == "first"
    found.judgments.append(
        {
            "prompt_id": task.prompt_id,
            "response_a": task.response_a,
            "response_b": task.response_b,
            "annotator": annotator,
            "preference": preference,
            "trace": answer.comment or None,
        }
    )
