"""Cycles of judging: what the judges agree on is shown to them before they are asked again.

Between two cycles the surest agreed comparisons of all buckets are written to
data/demonstrations; they are part of every prompt of the next cycle, and so of its key. The
judges that are shown none keep what they said. Every run of the stage chooses anew, from all the
responses there are: in rounds of samples, others may be shown, and then all is asked with those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import apache_beam as beam
import polars as pl

from prefdata.config.params import DemonstrationsParams, Params
from prefdata.consensus.agreed import agreed, first
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.judges.asking.demonstrations import Demonstrations
from prefdata.judges.base import Judge
from prefdata.pipelines import layout
from prefdata.pipelines.beam.errors import carry
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import Run, buckets, execute
from prefdata.records import CONSENSUS, SCHEMA_VERSION
from prefdata.tables import TableInfo, begin, finish, read_bucket, write_bucket

WHERE = "judge.demonstrations"


def count(params: Params) -> int:
    """How often the judges are asked."""
    return params.judge.demonstrations.cycles if params.judge.demonstrations else 1


def taught(settings: DemonstrationsParams, panel: Sequence[Judge]) -> list[str]:
    """The judges that are shown demonstrations. Raises ConfigError where there are none, and where
    nobody is there to agree with."""
    able = [judge.name for judge in panel if judge.takes_demonstrations]
    known = ", ".join(able) or "none"
    for name in settings.judges or ():
        if name not in able:
            raise ConfigError(
                f"{WHERE}.judges: {name!r} can't be shown demonstrations; of judge.judges can: "
                f"{known}"
            )
    if not able:
        raise ConfigError(
            f"{WHERE}: no judge of judge.judges can be shown demonstrations",
            "Add a pairwise or a listwise judge, or leave the section out.",
        )
    if len(panel) < 2:
        raise ConfigError(
            f"{WHERE}: one judge alone agrees with nobody", "Add a judge, or leave the section out."
        )
    return able if settings.judges is None else list(settings.judges)


def forget(params: Params) -> None:
    """Take the demonstrations of an earlier run away."""
    storage.remove(layout.demonstrations(params).info_path)


def choose(run: Run, arguments: Sequence[str]) -> int:
    """Write data/demonstrations from the labels of this cycle; how many there are."""
    output = layout.demonstrations(run.params)
    begin(output)

    def build(pipeline: beam.Pipeline) -> None:
        best = buckets(pipeline, run) | "Agreed" >> beam.Map(partial(_of_bucket, run))
        _ = best | beam.combiners.ToList() | "Demonstrations" >> beam.Map(partial(_write, run))

    execute(build, arguments)
    rows = _rows(run.params).height
    finish(
        output,
        TableInfo(
            record=output.record.__name__,
            schema_version=SCHEMA_VERSION,
            buckets=1,
            rows=rows,
            rows_in=rows,
            rows_out=rows,
            unit="comparisons",
        ),
    )
    return rows


def shown(params: Params) -> Demonstrations:
    """What the judges are shown in a later cycle."""
    return Demonstrations(_rows(params), _settings(params).count)


def _rows(params: Params) -> pl.DataFrame:
    return read_bucket(layout.demonstrations(params), 0, 1)


def _settings(params: Params) -> DemonstrationsParams:
    assert params.judge.demonstrations is not None
    return params.judge.demonstrations


def _of_bucket(run: Run, bucket: int) -> bytes:
    """The demonstrations there would be if there were this bucket alone."""
    with carry():
        settings = _settings(run.params)
        rows = agreed(
            run.read("judgments", bucket).filter(pl.col("judge") == CONSENSUS),
            run.read("prompts", bucket, ["prompt_id", "messages", "split"]),
            run.read("responses", bucket, ["response_id", "text"]),
            settings.max_chars,
        )
        return pack(first(rows, settings.count + 1))


def _write(run: Run, best: list[bytes]) -> None:
    """One more than are shown: whose prompt it is that is judged is shown the others."""
    with carry():
        rows = pl.concat(unpack(rows) for rows in best)
        chosen = first(rows, _settings(run.params).count + 1)
        write_bucket(layout.demonstrations(run.params), 0, 1, chosen)
