"""Verifies code: a response's Python is run against the tests in its prompt's ground truth."""

from __future__ import annotations

import ast
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.judges.base import JudgeConfig
from prefdata.judges.checking.faults import quote
from prefdata.judges.checking.sandbox import Limits, Runner, find_runner, run_tests
from prefdata.judges.checking.verifier import CHECKED, Verifier
from prefdata.parts.numbers import CpuSeconds, Whole

_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)

Row = tuple[float | None, str | None, str | None]


class UnitTestsConfig(JudgeConfig):
    kind: Literal["unit_tests"] = "unit_tests"
    seconds: CpuSeconds = Field(
        5, description="CPU seconds for one response, tests included.", examples=[2]
    )
    memory_mb: Whole = Field(
        1024,
        ge=64,
        le=1_048_576,
        description="Address space for one response, in megabytes.",
        examples=[512],
    )
    partial: bool = Field(
        False,
        description="Reward the share of the tests that pass, instead of whether all do.",
        examples=[True],
    )
    runner: Literal["auto", "bwrap", "process"] = Field(
        "auto",
        description="What runs the code: bwrap (bubblewrap) shows it nothing of the system but "
        "Python; process is a process with limits; auto: bwrap where it works.",
        examples=["process"],
    )
    allow_root: bool = Field(
        False, description="Run the code as root without bwrap.", examples=[True]
    )
    require_no_network: bool = Field(
        True,
        description="Refuse to run where the system can't cut the code off from the network.",
        examples=[False],
    )


class UnitTestsJudge(Verifier):
    """Runs the code of each response against the tests of its prompt.

    Evaluating Large Language Models Trained on Code (Chen et al., arXiv 2107.03374): code is right
    if its tests pass. The ground truth is one test as Python text, or a JSON list of such texts.
    checking/sandbox.py says what the sandbox protects from and what it does not.
    """

    config: UnitTestsConfig

    def verify(self, responses: pl.DataFrame) -> pl.DataFrame:
        distinct = responses.select("text", "ground_truth").unique(maintain_order=True)
        tests = {text: _parse_tests(text) for text in distinct["ground_truth"].unique()}
        runner = self._choose_runner()
        jobs = [(text, tests[ground_truth]) for text, ground_truth in distinct.iter_rows()]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            checked = list(pool.map(lambda job: self._check(job[0], job[1], runner), jobs))
        rows = [(*key, *row) for key, row in zip(distinct.iter_rows(), checked, strict=True)]
        schema = {"text": pl.String, "ground_truth": pl.String, **CHECKED}
        return responses.join(
            pl.DataFrame(rows, schema=schema, orient="row"),
            on=["text", "ground_truth"],
            how="left",
            maintain_order="left",
        ).select(list(CHECKED))

    def _check(self, text: str, tests: list[str] | str, runner: Runner) -> Row:
        if isinstance(tests, str):
            return None, tests, None
        outcome = run_tests(extract_code(text), tests, self._limits(), runner)
        if outcome.stopped is not None:
            return 0.0, None, outcome.stopped
        passed = outcome.tests.count("")
        share = passed / len(tests)
        trace = f"{passed} of {len(tests)} tests pass"
        first = next((n for n, error in enumerate(outcome.tests) if error), None)
        if first is not None:
            trace += f"; {quote(tests[first])}: {outcome.tests[first]}"
        return share if self.config.partial else float(share == 1), None, trace

    def _choose_runner(self) -> Runner:
        """Raise ConfigError if empty code fails to run, or is less held than the settings want."""
        runner = find_runner() if self.config.runner != "process" else "process"
        if self.config.runner == "bwrap" and runner != "bwrap":
            raise ConfigError(
                f"{self.where}: bwrap is not on the path, or can't run Python here",
                "Install bubblewrap, run where user namespaces are allowed, or set runner: auto.",
            )
        if runner == "process" and os.geteuid() == 0 and not self.config.allow_root:
            raise ConfigError(
                f"{self.where}: the code of responses would run as root, who may read and write "
                "every file",
                "Install bubblewrap (bwrap), run as another user or, in a container that holds "
                "nothing else, set allow_root: true.",
            )
        outcome = run_tests("", ["pass"], self._limits(), runner)
        if outcome.tests != ("",):
            raise ConfigError(
                f"{self.where}: code that does nothing does not run here: {outcome.stopped}",
                "Raise memory_mb or seconds, or choose another runner.",
            )
        if self.config.require_no_network and not outcome.isolated:
            raise ConfigError(
                f"{self.where}: this system does not let the code be cut off from the network",
                "Run where unprivileged user namespaces are allowed or, in a container that has "
                "no network, set require_no_network: false.",
            )
        return runner

    def _limits(self) -> Limits:
        return Limits(self.config.seconds, self.config.memory_mb)


def extract_code(text: str) -> str:
    """The response's longest fenced code block, or the whole response if it has none."""
    return max(_FENCED.findall(text), key=len, default=text)


def _parse_tests(ground_truth: str) -> list[str] | str:
    """The tests of a ground truth, or the reason why there are none."""
    tests: Any = [ground_truth]
    if ground_truth.lstrip().startswith("["):
        try:
            tests = orjson.loads(ground_truth)
        except orjson.JSONDecodeError:
            tests = [ground_truth]
    try:
        if not tests or not "".join(tests).strip():
            return f"no_tests: the ground truth {quote(ground_truth)} holds none"
        for test in tests:
            ast.parse(test)
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        return f"bad_tests: the ground truth {quote(ground_truth)} is no Python: {error}"
    return list(tests)
