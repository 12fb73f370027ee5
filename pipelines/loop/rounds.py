"""`prefdata loop`: rounds of making a dataset, training on it and evaluating the policy.

What is done is recorded after each step, and a step is only taken as done where what it made is
there and is what the record says: the dataset by its version and how its tables were made, the
policy by its fingerprint. So a loop that is killed goes on with the step that it was at, which the
memo and the trainer's checkpoints make short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prefdata.config.loop import LoopParams
from prefdata.config.params import Params
from prefdata.errors import AbortError, ConfigError
from prefdata.files import storage
from prefdata.files.json_files import write_model
from prefdata.files.lock import hold_folder
from prefdata.inference.progress import Progress
from prefdata.pipelines.beam.runtimes import stop_runs
from prefdata.pipelines.beam.signals import stop_workers
from prefdata.pipelines.loop.plan import (
    PARAMS,
    TRAINED,
    encode_params,
    list_opponents,
    locate_policy,
    locate_round,
    make_round,
    name_policy,
)
from prefdata.pipelines.loop.record import (
    RoundRecord,
    explain_changes,
    read_record,
    write_record,
)
from prefdata.pipelines.loop.work import Built, Work, name_reference
from prefdata.reports.loop.rounds import LoopFigures, RoundFigures
from prefdata.tables.chain import Chain

SUMMARY = "loop.json"
Result = TypeVar("Result")


def run_loop(
    params: Params,
    beam_arguments: Sequence[str] = (),
    progress: Progress | None = None,
    work: Work | None = None,
) -> LoopFigures:
    """Run the rounds of the section loop, or go on with them.

    Each round has its tables, its dataset, its params.yaml, its policy and its record in
    rounds/NUMBER of the data folder; the summary of all is loop.json there.

    Args:
        params: The loop's configuration.
        beam_arguments: Options for Beam, as for `run_flow`.
        progress: Where progress is reported.
        work: Does the steps of a round; None: the pipelines.

    Raises:
        ConfigError: The settings can't work, there would be no held-out prompt to evaluate on, or
            the rounds that are there were made by other params; raised before any work.
        StorageError: The disk has no room for the policies.
        AbortError: A step failed, or a round that was made again came out otherwise; earlier rounds
            are untouched.
        KeyboardInterrupt: The loop was asked to stop; the same call goes on from there.
    """
    loop, steps, say = params.loop or LoopParams(), work or Work(beam_arguments), progress
    steps.check(params)

    def stop() -> None:
        stop_runs()
        stop_workers()

    with hold_folder(params.data, "prefdata loop", stop):
        _check_begun(params, steps)
        parent, stopped = None, None
        for number in range(1, loop.rounds + 1):
            figures = _Round(params, number, parent, steps, say or Progress()).run()
            parent = figures.version
            stopped = _explain_worse(figures, loop)
            if stopped:
                break
        return _summarize(params, stopped)


@dataclass
class _Round:
    """A round under way."""

    loop: Params
    number: int
    parent: str | None
    work: Work
    progress: Progress

    def run(self) -> RoundFigures:
        """Do what is not done yet."""
        self.params = make_round(self.loop, self.number, self.parent)
        self.record = self._begin()
        self._make_dataset()
        self._train()
        self._evaluate()
        return self.record.figures

    def _begin(self) -> RoundRecord:
        folder, made = self.params.data, self.work.describe(self.params, self.loop)
        record = read_record(folder)
        if record is None:
            figures = RoundFigures(
                round=self.number,
                policy=self.work.read_fingerprint(self.params, name_policy(self.loop)),
                reference=self.work.read_fingerprint(
                    self.params, name_reference(self.params, self.loop)
                ),
                parent=self.parent,
            )
            record = RoundRecord(made=made, figures=figures)
        else:
            _check_made(self.loop, record, made)
        content, path = encode_params(self.params), storage.join(folder, PARAMS)
        if storage.read_bytes(path) != content:
            storage.write_bytes(path, content)
        self._keep(record)
        return record

    def _make_dataset(self) -> None:
        found = self.work.find_dataset(self.params, self.record.made)
        built, spent = (found, {}) if found else self._build()
        known = self.record.figures.version
        if known not in (None, built.version):
            raise self._explain_other(f"dataset came out as version {built.version}, not {known}")
        self._keep(
            self.record.note(
                spent,
                prompts=built.prompts,
                pairs=built.pairs,
                version=built.version,
                name=built.name,
                reused=built.reused,
            )
        )

    def _build(self) -> tuple[Built, dict[str, float]]:
        """(the dataset, the seconds that it took)."""
        self._announce("the dataset")
        if self.number == 1 and self.loop_params.evaluate:
            self.work.check_evaluation(self.params, self.progress)
        built, seconds = _time(lambda: self.work.build(self.params, self.progress))
        return built, {"dataset": seconds}

    def _train(self) -> None:
        known = self.record.figures.trained
        found = self.work.find_fingerprint(self.params, TRAINED)
        if known is None or (found is None and not self._is_passed()):
            self._announce("training")
            training, seconds = _time(
                lambda: self.work.train(self.params, self.loop, self._version, self.progress)
            )
            found = self.work.read_fingerprint(self.params, TRAINED)
            if known is None:
                spent = {"training": seconds}
                self._keep(self.record.note(spent, training=training, trained=found))
        if known is not None and found not in (None, known):
            folder = locate_policy(self.loop.data, self.number)
            raise self._explain_other(f"policy in {folder} is {found}, not {known}")

    def _evaluate(self) -> None:
        done = self.record.figures.against_before
        if not self.loop_params.evaluate or (
            done and done.policy.fingerprint == self.record.figures.trained
        ):
            return
        self._announce("evaluation")
        evaluations, seconds = _time(
            lambda: [
                self.work.evaluate(self.params, opponent, self.progress)
                for opponent in list_opponents(self.params)
            ]
        )
        *first, before = evaluations
        self._keep(
            self.record.note(
                {"evaluation": seconds},
                against_before=before,
                against_first=first[0] if first else None,
            )
        )

    @property
    def loop_params(self) -> LoopParams:
        """The section loop."""
        return self.loop.loop or LoopParams()

    @property
    def _version(self) -> str:
        version = self.record.figures.version
        assert version is not None
        return version

    def _is_passed(self) -> bool:
        """Whether the next round is done, so that nothing needs this one's policy any more."""
        record = read_record(locate_round(self.loop.data, self.number + 1))
        return record is not None and record.figures.is_done(self.loop_params.evaluate)

    def _keep(self, record: RoundRecord) -> None:
        self.record = record
        if read_record(self.params.data) != record:
            write_record(self.params.data, record)
        _summarize(self.loop, None)

    def _announce(self, step: str) -> None:
        self.progress.note(f"round {self.number} of {self.loop_params.rounds}: {step}")

    def _explain_other(self, what: str) -> AbortError:
        return AbortError(
            f"{self.params.data}: round {self.number} was done before, and now its {what}",
            "Other packages, devices or files can do that. Put back what was there, or set `data` "
            "to a new folder, and keep `memo`: no model call that is the same is made again.",
        )


def _time(step: Callable[[], Result]) -> tuple[Result, float]:
    """(what the step gives, the seconds that it took)."""
    began = time.monotonic()
    return step(), round(time.monotonic() - began, 2)


def _check_begun(params: Params, work: Work) -> None:
    """Check that the rounds that are there are those of these params. Raises ConfigError."""
    parent: str | None = None
    for record in _list_records(params.data):
        made = work.describe(make_round(params, record.figures.round, parent), params)
        _check_made(params, record, made)
        parent = record.figures.version


def _check_made(params: Params, record: RoundRecord, made: Chain) -> None:
    changes = explain_changes(record.made, made)
    if changes:
        raise ConfigError(
            f"{params.data}: round {record.figures.round} of the loop there was made by other "
            f"settings or files ({changes})",
            "Take that back, or set `data` to a new folder and keep `memo`: no model call that is "
            "the same is made again. Only loop.rounds and loop.stop_by may change in between.",
        )


def _list_records(data: str) -> Iterator[RoundRecord]:
    """The records of the rounds that have begun, in order."""
    number = 1
    while record := read_record(locate_round(data, number)):
        yield record
        number += 1


def _summarize(params: Params, stopped: str | None) -> LoopFigures:
    """Write the summary. The same rounds give the same but for the seconds."""
    loop = params.loop or LoopParams()
    figures = LoopFigures(
        data=params.data,
        wanted=loop.rounds,
        rounds=[each.figures for each in _list_records(params.data)],
        stopped=stopped,
    )
    write_model(storage.join(params.data, SUMMARY), figures)
    return figures


def _explain_worse(figures: RoundFigures, loop: LoopParams) -> str | None:
    """Why the loop stops after this round; None: it goes on."""
    worse = figures.find_worse(loop.stop_by) if loop.stop_by else []
    if not worse or worse[0].win_rate is None:
        return None
    return (
        f"{loop.stop_by} finds the policy of round {figures.round} worse than the one before: it "
        f"wins {worse[0].win_rate.format()} (loop.stop_by)"
    )
