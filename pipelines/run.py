"""Running: one stage, or the whole flow in as many rounds as the wanted pairs take.

A round is top-up and then all stages from generate to filter. The memo holds the model calls of
earlier rounds, so a round pays only for its new samples.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from prefdata.accounting.stats import Stats, read_stats, write_stats
from prefdata.accounting.wanted import WantedPairs
from prefdata.config.contradictions import check_contradictions
from prefdata.config.params import Params
from prefdata.errors import ConfigError, SourceError
from prefdata.files.lock import hold_folder, identify_machine
from prefdata.inference.progress import Progress
from prefdata.inference.usage import Usage
from prefdata.pipelines.beam.execute import check_runner, execute
from prefdata.pipelines.beam.runtimes import open_runtime
from prefdata.pipelines.beam.signals import end_orphans, stop_workers
from prefdata.pipelines.chain import check_chain, fits_params, make_chain
from prefdata.pipelines.stages.base import Context, Stage
from prefdata.pipelines.stages.filter import FilterDryRun
from prefdata.pipelines.stages.registry import STAGES, TOP_UP, find_stage
from prefdata.pipelines.stages.top_up import plan_samples, remove_plan
from prefdata.reports.faults import check_faults
from prefdata.text.similar_names import suggest_name

FIRST_AGAIN, LAST_AGAIN = "generate", "filter"
"""The first and the last stage of a further round."""


@dataclass
class Run:
    """A run under way.

    Attributes:
        context: The context of its stages.
        seconds: Seconds by stage, of all rounds.
        usage: Model calls by stage, of all rounds.
        models: The fingerprint of each model that the stages ask, once all have run.
    """

    context: Context
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    usage: dict[str, dict[str, Usage]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)

    def run_stage(self, stage: Stage) -> Stats:
        """Run one stage, whatever its faults."""
        context = replace(self.context, stage=stage.name)
        if context.runtime.stopping.is_set():
            raise KeyboardInterrupt
        started = time.monotonic()
        inputs = stage.open_inputs(context)
        context = replace(
            context,
            buckets=stage.count_buckets(context),
            inputs=tuple((name, info.content) for name, info in inputs.items()),
            chain=make_chain(stage, context, inputs),
        )
        stage.begin(context)
        execute(lambda pipeline, where: _build(stage, pipeline, where), context)
        stats = read_stats(context.catalog, stage.name)
        assert stats is not None
        stage.finish(context, stats)
        seconds = time.monotonic() - started
        self.seconds[stage.name] = round(self.seconds.get(stage.name, 0.0) + seconds, 2)
        self.progress.finish_stage(stage.name, stats.rows_in, stats.rows_out, seconds)
        return stats

    def check_tables(self, stage: Stage, force: bool) -> None:
        """Check the tables that a stage reads which runs by itself, unless `force`. Raises
        TableError."""
        if not (force and stage.takes_stale):
            check_chain(stage, replace(self.context, stage=stage.name), STAGES)

    def run_counted(self, stage: Stage, number: int, stages: int) -> None:
        """Run stage `number` of `stages`, and add its usage to that of earlier rounds.

        Raises:
            TooManyFaulty: More of its records were faulty than its limit allows.
        """
        self.progress.start_stage(stage.name, number, stages)
        stats = self.run_stage(stage)
        before = self.usage.get(stage.name, {})
        self.usage[stage.name] = {
            call: before[call].add_rerun(usage) if call in before else usage
            for call, usage in stats.usage.items()
        }
        if before:
            total = stats.model_copy(update={"usage": self.usage[stage.name]})
            write_stats(self.context.catalog, stage.name, total)
        dropped = replace(self.context, stage=stage.name).dropped
        check_faults(self.context.params, stage.name, stage.section, stats, dropped)

    def run_all(self, stages: Sequence[Stage]) -> None:
        """Run the stages, in as many rounds as the wanted pairs take before the last one."""
        remove_plan(self.context)
        *before, last = stages
        for number, stage in enumerate(before, 1):
            self.run_counted(stage, number, len(stages))
        names = [stage.name for stage in stages]
        draws = FIRST_AGAIN in names and self.context.params.generate.wants_pairs()
        again = stages[names.index(FIRST_AGAIN) : names.index(LAST_AGAIN) + 1] if draws else ()
        for number in count(1) if draws else ():
            planned = self.top_up()
            self.progress.note(f"round {number}: {planned.describe()}")
            if not planned.topped_up:
                break
            for stage in again:
                self.run_counted(stage, names.index(stage.name) + 1, len(stages))
        self.run_counted(last, len(stages), len(stages))
        engines, params = self.context.runtime.engines, self.context.params
        used = sorted({name for stage in stages for name in stage.list_models(params)})
        self.models = {name: engines[name].fingerprint for name in used}

    def top_up(self) -> WantedPairs:
        """Count each prompt's pairs, and plan its next samples."""
        self.run_stage(TOP_UP)
        context = replace(self.context, stage=TOP_UP.name)
        return plan_samples(replace(context, buckets=TOP_UP.count_buckets(context)))


def run_flow(
    params: Params,
    beam_arguments: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    export: bool = True,
    start: str | None = None,
) -> Run:
    """Run all stages that params.yaml wants, in order.

    Args:
        params: All of params.yaml.
        beam_arguments: Options for Beam, such as --runner=SparkRunner.
        progress: Receives the progress of the run.
        export: Whether to publish a dataset; false: the tables alone, and they may be empty.
        start: The first stage to run. The tables of the earlier ones are taken as they are, if they
            are those that params.yaml makes; their models and sources need not be here.

    Raises:
        ConfigError: The settings can't work; raised before any work.
        FolderInUse: Another run works in the data folder.
        TooManyFaulty: A stage exceeded its limit of faults; the run stops after it.
        NoPairs: No pair is left to export.
        TableError: The tables before `start` are missing, or not those that params.yaml makes.
        KeyboardInterrupt: The run was asked to stop; finished model calls are in the memo.
    """
    wanted = [stage for stage in STAGES if stage.is_wanted(params)]
    given = _list_given(params, wanted, start) if start else []
    stages = [stage for stage in (wanted if export else wanted[:-1]) if stage not in given]
    with _open_run("run", stages, params, beam_arguments, progress, given) as run:
        if given:
            run.check_tables(stages[0], force=False)
        run.run_all(stages)
    return run


def _list_given(params: Params, wanted: Sequence[Stage], start: str) -> list[Stage]:
    """The stages whose tables are taken as they are in a run that begins at `start`: the earlier
    ones, and later ones that read nothing else and are what params.yaml makes, such as ches."""
    names = [stage.name for stage in wanted]
    if start not in names:
        raise ConfigError(
            f"--from {start}: no stage of this flow{suggest_name(start, names)}",
            f"Name one of {', '.join(names)}.",
        )
    before, later = wanted[: names.index(start)], wanted[names.index(start) + 1 :]
    tables = {stage.table for stage in before}
    with open_runtime(params) as run:
        context = Context(params, "", run)
        apart = [s for s in later if s.table and tables.issuperset(s.reads(params))]
        return [*before, *(s for s in apart if fits_params(s, context, STAGES))]


def run_stage(
    name: str,
    params: Params,
    beam_arguments: Sequence[str] = (),
    progress: Progress | None = None,
    force: bool = False,
) -> Run:
    """Run one stage of STAGES. Raises as `run_flow` does, and TableError where the tables that it
    reads are not those that `params` make, unless `force` takes them as they are."""
    stage = find_stage(name)
    with _open_run(name, [stage], params, beam_arguments, progress) as run:
        run.check_tables(stage, force)
        run.run_counted(stage, 1, 1)
    return run


def run_top_up(
    params: Params,
    beam_arguments: Sequence[str] = (),
    progress: Progress | None = None,
    force: bool = False,
) -> WantedPairs:
    """Plan more samples for the prompts that are short of pairs, and return the counts. Raises as
    `run_stage` does."""
    with _open_run(TOP_UP.name, [TOP_UP], params, beam_arguments, progress) as run:
        run.check_tables(TOP_UP, force)
        return run.top_up()


def dry_run_filters(
    params: Params,
    beam_arguments: Sequence[str] = (),
    progress: Progress | None = None,
    force: bool = False,
) -> Stats:
    """Count what the filters would keep and drop, and write no table. Raises as `run_stage`
    does."""
    stage = FilterDryRun()
    with _open_run("filter --dry-run", [stage], params, beam_arguments, progress) as run:
        run.check_tables(stage, force)
        return run.run_stage(stage)


def check_params(params: Params, names: Sequence[str]) -> None:
    """Check settings, models and files of all stages before any work; the sources only if ingest is
    among `names`. Raises ConfigError."""
    with open_runtime(params) as run:
        check_stages(Context(params, "", run), [find_stage(name) for name in names])


def check_stages(context: Context, stages: Sequence[Stage], given: Sequence[Stage] = ()) -> None:
    """Check the stages, and also the settings of those that don't run now: a mistake in the last
    stage should be reported before the first one runs for hours. Sources are checked only if
    ingest is among the stages, and keys of models only if one of the stages asks them. `given` are
    the stages whose tables are taken as they are, which are not checked."""
    check_runner(context.params, context.beam_arguments)
    check_contradictions(context.params)
    names = [stage.name for stage in stages]
    wanted = [s for s in STAGES if s.is_wanted(context.params)]
    others = [s for s in wanted if s.name not in names and s not in given]
    for stage in (*stages, *others):
        if stage.name == "ingest" and stage.name not in names:
            continue
        try:
            stage.check(replace(context, stage=stage.name))
        except SourceError as error:
            # Nothing was begun, so it is the command or params.yaml that has to change.
            raise ConfigError(error.problem, error.remedy) from error
        for requirement in stage.requirements(context.params):
            if stage.name in names:
                context.runtime.engines[requirement.model].check()
            requirement.resolve(context.runtime.engines)


@contextmanager
def _open_run(
    command: str,
    stages: Sequence[Stage],
    params: Params,
    beam_arguments: Sequence[str],
    progress: Progress | None,
    given: Sequence[Stage] = (),
) -> Iterator[Run]:
    """Check the stages, then hold the data folder until they have run."""
    with open_runtime(params, progress) as run:
        context = Context(params, "", run, beam_arguments=tuple(beam_arguments))
        check_stages(context, stages, given)

        def stop() -> None:
            context.runtime.stopping.set()
            stop_workers()

        with hold_folder(params.data, f"prefdata {command}", stop) as dead:
            for holder in dead:
                if holder.machine == identify_machine():
                    end_orphans(holder.process)
            yield Run(context, progress or Progress())


def _build(stage: Stage, pipeline: object, context: Context) -> None:
    from prefdata.pipelines.beam.steps import keep_stats

    keep_stats(stage.build(pipeline, context), context)  # type: ignore[arg-type]
