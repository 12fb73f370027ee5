"""A filter's step on a bucket: what it is given, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import apache_beam as beam
import polars as pl

from prefdata.filters import registry as lookup
from prefdata.inference.usage import Usage
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import Run
from prefdata.pipelines.stats import StepStats


@dataclass(frozen=True)
class State:
    """A bucket on its way through the filters."""

    bucket: int
    rows_in: int
    kept: bytes
    dropped: bytes
    usage: dict[str, Usage] = field(default_factory=dict)
    steps: dict[str, StepStats] = field(default_factory=dict)

    def counted(self, label: str, counts: StepStats) -> State:
        """With the counts added to those of the step."""
        before = self.steps.get(label, StepStats())
        return replace(self, steps={**self.steps, label: before.plus(counts)})

    def dropping(self, rows: pl.DataFrame, label: str, fault: bool) -> State:
        """With these rows, which have reason and detail, among the dropped."""
        if not rows.height:
            return self
        more = rows.select(
            stage=pl.lit("filter"),
            reason="reason",
            detail="detail",
            fault=pl.lit(fault),
            place="prompt_id",
            record=pl.struct(
                "pair_id", "prompt_id", "chosen_id", "rejected_id"
            ).struct.json_encode(),
        )
        counts = rows.group_by("reason").len().sort("reason")
        dropped = pack(pl.concat([unpack(self.dropped), more]))
        dropped = StepStats(dropped=dict(counts.iter_rows()))
        return replace(self, dropped=dropped).counted(label, dropped)


class FilterStep(beam.DoFn):
    """One filter's part; the filter is made where it runs. `label` is its place and kind."""

    def __init__(self, run: Run, part: Part, label: str) -> None:
        self.run, self.part, self.label = run, part, label

    def setup(self) -> None:
        with carry():
            self.filter = lookup.build([self.part])[0]
