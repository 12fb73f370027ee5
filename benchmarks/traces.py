"""The yield of agents' traces, by where runs of one task are aligned.

An agent is simulated: 8 runs of each task, of 6 to 30 turns. At each turn it does the next usual
thing or, once in five times, something else; what it gets back depends on what it did, the outcome
on whether it tested after its last edit. The runs are written as session logs of Claude Code and
read back by the source `traces`.

- last: pairs of runs that share everything before their last turns
- first: pairs of the turns at which the runs of a task first part
- every: pairs of every place where runs part, as the source makes them
- _labelled: of these, the pairs whose responses have different mean outcomes
- seconds, memory: of reading all logs and making the rows

    python benchmarks/traces.py            1,000 tasks
    python benchmarks/traces.py --quick    50 tasks
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
from machine import report

from prefdata.sources.registry import SOURCES
from prefdata.sources.runs.logs import read_logs
from prefdata.sources.runs.run import Run
from prefdata.sources.runs.tasks import make_opening
from prefdata.sources.runs.trees import Choice, Parting, make_key

RUNS = 8
USUAL = ("ls", "cat main.py", "grep -n TODO main.py", "edit main.py", "pytest -q")
OTHER = ("git log", "cat tests.py", "python main.py", "edit tests.py", "git diff")
ENDS = ("Done.", "The tests pass.", "I mended it, and the tests pass now.", "It should work.")


def write_run(path: Path, task: int, draw: random.Random) -> float:
    """Write the log of one run; its outcome."""
    lines: list[dict[str, Any]] = []

    def add(kind: str, content: Any) -> None:
        message = {"id": f"msg_{draw.random()}", "role": kind, "content": content}
        parent = lines[-1]["uuid"] if lines else None
        common = {"sessionId": path.stem, "isSidechain": False, "uuid": f"{draw.random()}"}
        lines.append({"type": kind, "message": message, "parentUuid": parent, **common})

    add("user", f"Mend project {task}.")
    edits, usual, tested = 0, 0, False
    for _ in range(draw.randint(5, 29)):
        if draw.random() < 0.8:
            command, usual = USUAL[usual % len(USUAL)], usual + 1
        else:
            command = draw.choice(OTHER)
        edits += command.startswith("edit")
        tested = command == "pytest -q"
        call = {"type": "tool_use", "id": f"toolu_{draw.random()}", "name": "Bash"}
        add("assistant", [{**call, "input": {"command": command}}])
        result = {"type": "tool_result", "tool_use_id": call["id"]}
        add("user", [{**result, "content": f"{command} of {task} after {edits} edits"}])
    add("assistant", [{"type": "text", "text": draw.choice(ENDS)}])
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    return float(edits > 0 and tested)


def write_logs(folder: Path, tasks: int) -> Path:
    """Write all runs; the file of their outcomes."""
    draw = random.Random(0)
    outcomes = ["run,task,outcome"]
    for task in range(tasks):
        for number in range(RUNS):
            name = f"{task:05d}-{number}"
            outcome = write_run(folder / f"{name}.jsonl", task, draw)
            outcomes.append(f"{name},{task},{outcome}")
    path = folder / "outcomes.csv"
    path.write_text("\n".join(outcomes))
    return path


def count_pairs(choices: Iterable[Choice]) -> tuple[int, int]:
    """(pairs of responses, those whose outcomes differ)."""
    pairs = list(combinations([choice.outcome for choice in choices], 2))
    return len(pairs), sum(one != other for one, other in pairs)


def count_last(runs: Iterable[Run]) -> int:
    """Pairs of different last turns behind the same turns."""
    ends: dict[Hashable, set[Hashable]] = defaultdict(set)
    for run in runs:
        *before, last = [make_key(turn, "text_and_calls") for _, turn in run.turns]
        ends[tuple(before)].add(last)
    return sum(len(last) * (len(last) - 1) // 2 for last in ends.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    tasks = 50 if parser.parse_args().quick else 1_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = write_logs(folder, tasks)
        settings = {"path": f"{folder}/*.jsonl", "outcomes": str(outcomes)}
        source = SOURCES.parse({"kind": "traces", **settings})
        started = time.monotonic()
        rows = sum(len(prompts) for prompts, _ in source.read(0, 0.1, 1_000_000))
        seconds = time.monotonic() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        partings = [row.value for row in source.rows() if isinstance(row.value, Parting)]
        runs = [log.run for log in read_logs(str(folder), "claude_code") if log.run]
        whole = [run for run in runs if isinstance(run, Run)]
        asked = {make_opening(run) for run in whole}
    first: dict[str, Parting] = {}
    for parting in partings:
        begin = parting.turns[0].content
        if begin not in first or len(parting.turns) < len(first[begin].turns):
            first[begin] = parting
    every = [count_pairs(parting.choices) for parting in partings]
    of_first = [count_pairs(parting.choices) for parting in first.values()]
    last = count_last(whole)
    figures = {
        "tasks": len(asked),
        "runs": len(whole),
        "prompts": rows,
        "last": last,
        "first": sum(pairs for pairs, _ in of_first),
        "first_labelled": sum(labelled for _, labelled in of_first),
        "every": sum(pairs for pairs, _ in every),
        "every_labelled": sum(labelled for _, labelled in every),
        "seconds": round(seconds, 1),
        "memory_mib": memory,
    }
    for key, value in figures.items():
        print(f"{key:16} {value}")
    report(**figures)


if __name__ == "__main__":
    main()
