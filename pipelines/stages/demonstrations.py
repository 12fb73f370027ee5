"""Cycles of judging: comparisons on which the judges agree are shown to them in the next cycle.

Between two cycles the surest agreed comparisons of all buckets are written to data/demonstrations.
They are part of every prompt of the next cycle, and so of its key. Judges that are shown none keep
their judgments. Every run of the stage chooses the demonstrations anew from all responses. So a
round with new samples may choose others, and then every comparison is judged again with those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata.config.params import DemonstrationsParams, Params
from prefdata.consensus.base import Labelling
from prefdata.consensus.demonstrations import list_demonstrations, rank_demonstrations
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.judges.base import Judge
from prefdata.pipelines.stages.base import Context
from prefdata.tables import write_table
from prefdata.tables.packing import pack, unpack

if TYPE_CHECKING:
    import apache_beam as beam

WHERE = "judge.demonstrations"


def count_cycles(params: Params) -> int:
    """The number of cycles; 1 without demonstrations."""
    return params.judge.demonstrations.cycles if params.judge.demonstrations else 1


def name_learners(settings: DemonstrationsParams, panel: Sequence[Judge]) -> list[str]:
    """The names of the judges that are shown demonstrations.

    Raises:
        ConfigError: There are none, or there is no second judge to agree with.
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
    """Mark the demonstrations of an earlier run as unfinished."""
    storage.remove(context.catalog.demonstrations.info_path)


def choose(judged: beam.PCollection, context: Context, cycle: int) -> beam.PCollection:
    """The demonstrations for a cycle, packed, from the judgments of the one before."""
    # Imported here, because the consensus stage imports the judge stage.
    from prefdata.pipelines.beam.steps import apply_step, gather
    from prefdata.pipelines.stages.consensus import label_buckets

    suffix = f", cycle {cycle}"
    buckets = apply_step(judged, f"Judged{suffix}", context, _take_bucket, brief=True)
    candidates = label_buckets(buckets, context, _take_agreed, suffix)
    return gather(candidates, f"Demonstrations{suffix}", context, _write)


def _take_bucket(context: Context, judged: Any) -> Iterator[int]:
    yield judged.bucket


def _settings(context: Context) -> DemonstrationsParams:
    assert context.params.judge.demonstrations is not None
    return context.params.judge.demonstrations


def _take_agreed(context: Context, bucket: int, labelling: Labelling) -> Iterator[bytes]:
    """The surest agreed comparisons of one bucket."""
    settings = _settings(context)
    rows = list_demonstrations(
        labelling.labels,
        context.read("prompts", bucket, ["prompt_id", "messages", "split"]),
        context.read_responses(bucket).select("response_id", "text"),
        settings.max_chars,
    )
    yield pack(rank_demonstrations(rows, settings.count + 1))


def _write(context: Context, candidates: list[Any]) -> bytes:
    """Write `count` + 1 demonstrations: a prompt that is itself among them is shown the others."""
    table = context.catalog.demonstrations
    rows = pl.concat(unpack(packed) for packed in candidates)
    chosen = rank_demonstrations(rows, _settings(context).count + 1)
    write_table(table, chosen, "comparisons")
    return pack(chosen)
