"""Cycles of judging: what the judges agree on is shown to them before they are asked again.

Between two cycles the surest agreed comparisons of all buckets are written to
data/demonstrations; they are part of every prompt of the next cycle, and so of its key. The judges
that are shown none keep what they said. Every run of the stage chooses anew, from all responses
there are: in rounds of samples others may be shown, and then all is asked with those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata.config.params import DemonstrationsParams, Params
from prefdata.consensus.demonstrations import list_demonstrations, rank_demonstrations
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.judges.base import Judge
from prefdata.pipelines.beam.shuffle import pack, unpack
from prefdata.pipelines.stages.base import Context
from prefdata.records import SCHEMA_VERSION
from prefdata.tables import TableInfo, begin, finish, write_bucket

if TYPE_CHECKING:
    import apache_beam as beam

WHERE = "judge.demonstrations"


def count_cycles(params: Params) -> int:
    """How often the judges are asked."""
    return params.judge.demonstrations.cycles if params.judge.demonstrations else 1


def name_learners(settings: DemonstrationsParams, panel: Sequence[Judge]) -> list[str]:
    """The judges that are shown demonstrations.

    Raises:
        ConfigError: There are none, or nobody is there to agree with.
    """
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


def remove(context: Context) -> None:
    """Take the demonstrations of an earlier run away."""
    storage.remove(context.catalog.demonstrations.info_path)


def write_judgments(context: Context, bucket: int, judgments: pl.DataFrame) -> None:
    """Write a bucket's judgments; the table is marked whole after the last cycle, never between."""
    write_bucket(context.table("judgments"), bucket, context.buckets, judgments)


def choose(judged: beam.PCollection, context: Context, cycle: int) -> beam.PCollection:
    """The demonstrations for a cycle, packed, from the judgments of the one before."""
    # Late, because the consensus stage imports judge.
    from prefdata.pipelines.beam.steps import apply_step, gather
    from prefdata.pipelines.stages.consensus import label_buckets

    suffix = f", cycle {cycle}"
    buckets = apply_step(judged, f"Judged{suffix}", context, _take_bucket)
    labelled = label_buckets(buckets, context, suffix)
    candidates = apply_step(labelled, f"Agreed{suffix}", context, _take_agreed)
    return gather(candidates, f"Demonstrations{suffix}", context, _write)


def _take_bucket(context: Context, judged: Any) -> Iterator[int]:
    yield judged.bucket


def _settings(context: Context) -> DemonstrationsParams:
    assert context.params.judge.demonstrations is not None
    return context.params.judge.demonstrations


def _take_agreed(context: Context, labelled: Any) -> Iterator[bytes]:
    """The demonstrations there would be if there were this bucket alone."""
    settings = _settings(context)
    rows = list_demonstrations(
        unpack(labelled.labels),
        context.read("prompts", labelled.bucket, ["prompt_id", "messages", "split"]),
        context.read("responses", labelled.bucket, ["response_id", "text"]),
        settings.max_chars,
    )
    yield pack(rank_demonstrations(rows, settings.count + 1))


def _write(context: Context, candidates: list[Any]) -> bytes:
    """One more than are shown: whose prompt it is that is judged is shown the others."""
    table = context.catalog.demonstrations
    begin(table)
    rows = pl.concat(unpack(some) for some in candidates)
    chosen = rank_demonstrations(rows, _settings(context).count + 1)
    write_bucket(table, 0, 1, chosen)
    finish(
        table,
        TableInfo(
            record=table.record.__name__,
            schema_version=SCHEMA_VERSION,
            buckets=1,
            rows=chosen.height,
            rows_in=chosen.height,
            rows_out=chosen.height,
            unit="comparisons",
        ),
    )
    return pack(chosen)
