"""The contract of a stage, and the context in which it runs."""

from __future__ import annotations

import pickle
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
from pydantic import JsonValue

from prefdata.accounting.stats import Stats
from prefdata.config.params import Params
from prefdata.engines.base import Requirement
from prefdata.errors import AccountingError, TableError
from prefdata.inference import Inference
from prefdata.inference.usage import Usage
from prefdata.parts import Registry
from prefdata.parts.inputs import describe_settings
from prefdata.pipelines.beam.runtimes import ProcessRuntime, find_runtime
from prefdata.pipelines.chain import describe_stage
from prefdata.pipelines.stages.writing import (
    finish_dropped,
    finish_table,
    order_files,
    write_outcome,
)
from prefdata.tables import Table, TableInfo, begin, read_bucket, read_info, read_unfinished
from prefdata.tables.catalog import TABLES, Catalog
from prefdata.tables.chain import Chain, Made
from prefdata.tables.layout import Reused
from prefdata.tables.read import find_info
from prefdata.text.transcript import describe_response

if TYPE_CHECKING:
    import apache_beam as beam


@dataclass(frozen=True)
class Context:
    """The context in which a stage runs; it is sent to every worker.

    Attributes:
        params: All of params.yaml.
        stage: The stage's name.
        run: The id of the run, by which each process finds its runtime.
        buckets: The number of buckets of every table.
        beam_arguments: The command line's options for Beam.
        inputs: (name, content) of the finished tables that the stage reads; see
            `TableInfo.content`.
        spill: The folder of the frames that steps hand on; empty: the runner's shuffle takes them.
        chain: The chain of the table that the stage writes; it is not sent to workers.
    """

    params: Params
    stage: str
    run: str
    buckets: int = 0
    beam_arguments: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()
    spill: str = ""
    chain: Chain = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        # Beam pickles a step's context several times for every worker, and compresses it slowly.
        others = (self.stage, self.run, self.buckets, self.beam_arguments, self.inputs, self.spill)
        return _receive, (self._packed_params, *others)

    @cached_property
    def _packed_params(self) -> bytes:
        return zlib.compress(pickle.dumps(self.params))

    @property
    def catalog(self) -> Catalog:
        """Where the tables lie."""
        return Catalog(self.params.data)

    @property
    def runtime(self) -> ProcessRuntime:
        """The run's models and parts in this process."""
        return find_runtime(self.run, self.params)

    @property
    def dropped(self) -> Table:
        """The table of the stage's dropped records."""
        return self.catalog.dropped(self.stage)

    def table(self, name: str) -> Table:
        """One of TABLES."""
        return self.catalog.table(name, TABLES[name])

    def read(self, name: str, bucket: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """One bucket of one of TABLES: a table that the stage reads, or its own as far as it is."""
        return self.read_input(name, self.table(name), bucket, columns)

    def read_input(
        self, name: str, table: Table, bucket: int, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """One bucket of the table that `inputs` calls `name`."""
        content = dict(self.inputs).get(name)
        if content is None:
            return read_unfinished(table, bucket, self.buckets, columns)
        return read_bucket(table, bucket, find_info(table, content), columns)

    def read_responses(self, bucket: int) -> pl.DataFrame:
        """A bucket's responses as `describe_responses` has them."""
        columns = ["response_id", "prompt_id", "policy", "text", "thoughts", "tool_calls"]
        rows = self.read("responses", bucket, [*columns, "finish_reason"])
        return describe_responses(rows)

    def inference(self) -> Inference:
        """A new `Inference` for the model calls of one bucket, whose usage it counts."""
        runtime = self.runtime
        memo = runtime.open_memo(self.params.memo)
        return Inference(runtime.engines, memo, runtime, self.stage, self.buckets)


def describe_responses(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `Response` as judges and filters see them.

    Returns:
        response_id, prompt_id, policy, `text` (with its calls readable, without thoughts), what
        it was made of (`content`, `thoughts`, `tool_calls`) and `finished`, its turn ended.
    """
    return rows.select(
        "response_id",
        "prompt_id",
        "policy",
        text=describe_response(pl.col("text"), pl.col("tool_calls")),
        content="text",
        thoughts="thoughts",
        tool_calls="tool_calls",
        finished=pl.col("finish_reason") == "stop",
    )


@lru_cache(maxsize=16)
def _receive(packed_params: bytes, *others: Any) -> Context:
    return Context(pickle.loads(zlib.decompress(packed_params)), *others)


@dataclass(frozen=True)
class Outcome:
    """The result of a stage for one bucket.

    `rows_out` counts in the stage's unit, like `rows_in`; None: the number of rows. `policies` are
    the samples by policy, where there are several; `dropped_values` those of rows that stay, as
    prompt_id and `prefdata.augment.base.VALUE`; `reused` what each policy took over.
    """

    rows_in: int
    rows: pl.DataFrame
    dropped: pl.DataFrame
    usage: dict[str, Usage] | None = None
    rows_out: int | None = None
    policies: dict[str, int] | None = None
    dropped_values: pl.DataFrame | None = None
    reused: dict[str, Reused] | None = None


class Stage(ABC):
    """A step of the flow: one Beam pipeline that reads tables and writes one.

    A new stage is one file here and its place in `registry.STAGES`: command, summary, documentation
    and the check of dvc.yaml follow.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for --help and the docs."""
    section: ClassVar[str]
    """Its section of params.yaml."""
    table: ClassVar[str | None] = None
    """The name in TABLES of the table that it writes."""
    unit: ClassVar[str]
    """What `rows_in` and `rows_out` count."""
    optional: ClassVar[bool] = False
    """Whether a flow skips it where params.yaml lacks its section."""
    parts: ClassVar[Registry[Any] | None] = None
    """The registry of the parts that it works with."""
    takes_stale: ClassVar[bool] = True
    """Whether --force lets it take tables that params.yaml would make otherwise."""
    bucketed_apart: ClassVar[frozenset[str]] = frozenset()
    """Those of its inputs that may have another number of buckets."""
    takes: ClassVar[str | None] = None
    """The one of TABLES whose every row is one that the stage counts as going in."""

    def reads(self, params: Params) -> Sequence[str]:
        """The TABLES that it reads."""
        return ()

    def settings(self, params: Params) -> dict[str, JsonValue]:
        """The settings on which its table depends; those of its models apart."""
        return describe_settings(getattr(params, self.section))

    def describe(self, params: Params, fingerprints: Mapping[str, str | None]) -> Made:
        """How it would make its table, given the fingerprints of models that are known."""
        return describe_stage(self, params, fingerprints)

    def list_models(self, params: Params) -> list[str]:
        """The names of the models that it asks."""
        names = {need.model for need in self.requirements(params)}
        return sorted(names & params.models.keys())

    def list_fitting(self, params: Params) -> Sequence[Params]:
        """The params by any of which the tables that it reads may have been made."""
        return [params]

    def open_inputs(self, context: Context) -> dict[str, TableInfo]:
        """The descriptions of the finished tables that it reads, by the names that
        `Context.read_input` takes."""
        return {name: read_info(context.table(name)) for name in self.reads(context.params)}

    def requirements(self, params: Params) -> Sequence[Requirement]:
        """The model calls that it will make."""
        return ()

    def check(self, context: Context) -> None:
        """Check the settings before any work. Raises ConfigError."""

    def is_wanted(self, params: Params) -> bool:
        """Whether a whole run includes this stage."""
        return not self.optional or getattr(params, self.section) is not None

    def count_buckets(self, context: Context) -> int:
        """The number of buckets of the tables it reads. Raises TableError where they differ."""
        opened = self.open_inputs(context).items()
        infos = {name: info for name, info in opened if name not in self.bucketed_apart}
        counts = {info.buckets for info in infos.values()}
        if len(counts) > 1:
            found = ", ".join(f"{n}: {i.buckets}" for n, i in infos.items())
            raise TableError(
                f"the tables that {self.name} reads are bucketed differently ({found})",
                "Run the earlier stages again: `prefdata run` runs them all.",
            )
        return counts.pop()

    def output(self, context: Context) -> Table:
        """The table that it writes."""
        assert self.table is not None
        return context.table(self.table)

    def begin(self, context: Context) -> None:
        """Open the tables for writing: until `finish` they count as unfinished."""
        begin(self.output(context))
        begin(context.dropped)

    def ask_again(self, context: Context, bucket: int) -> None:
        """Make the model calls of a bucket of finished tables as they were made, by
        `context.inference`, and write nothing."""

    @abstractmethod
    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        """Build the graph. It returns a collection of `Stats`, which are added up."""

    def finish(self, context: Context, stats: Stats) -> None:
        """Mark the tables whole, those of the dropped records first."""
        self.check_rows_in(context, stats)
        finish_dropped(self, context, stats)
        files = order_files(stats.files, context.buckets, stats.rows_written)
        finish_table(self, context, self.output(context), stats, files)

    def check_rows_in(self, context: Context, stats: Stats) -> None:
        """Check that every row of the table that it takes went in. Raises AccountingError."""
        if self.takes is None:
            return
        rows = read_info(context.table(self.takes)).rows_out
        if stats.rows_in != rows:
            raise AccountingError(
                f"{self.name}: {stats.rows_in} {self.unit} went in, but {rows} came out of the "
                f"stage before ({self.takes})",
                "Run both stages again, on one machine if this was a cluster.",
            )


class BucketStage(Stage):
    """A stage that works on each bucket by itself."""

    @abstractmethod
    def work(self, context: Context, bucket: int) -> Outcome:
        """Process one bucket. A runner may repeat it, so it must be safe to run again."""

    def ask_again(self, context: Context, bucket: int) -> None:
        self.work(context, bucket)

    def build(self, pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
        from prefdata.pipelines.beam.steps import apply_step, spread_buckets

        buckets = spread_buckets(pipeline, context)
        return apply_step(buckets, self.name, context, self._write)

    def _write(self, context: Context, bucket: int) -> Iterator[Stats]:
        yield write_outcome(context, self.output(context), bucket, self.work(context, bucket))
