"""The steps that stages are made of: a function on each element, and a gathering in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import apache_beam as beam

from prefdata.accounting.stats import sum_stats, write_stats
from prefdata.pipelines.beam.errors import carry_errors

if TYPE_CHECKING:
    from prefdata.pipelines.stages.base import Context


class Step(beam.DoFn):
    """`function(context, element, **side_inputs)` yields what goes on. Safe to run again."""

    def __init__(self, context: Context, function: Callable[..., Iterable[Any]]) -> None:
        self.context, self.function = context, function

    # Without annotations: Beam would take that of **side_inputs for the type of each.
    def process(self, element, **side_inputs):
        with carry_errors(self.context.runtime.stopping):
            yield from self.function(self.context, element, **side_inputs)


def spread_buckets(pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
    """The bucket numbers, spread over the workers."""
    # Create spreads what it makes; every further Reshuffle would be a shuffle more per stage.
    return pipeline | "Buckets" >> beam.Create(range(context.buckets))


def apply_step(
    elements: beam.PCollection,
    label: str,
    context: Context,
    function: Callable[..., Iterable[Any]],
    **side_inputs: beam.PCollection | None,
) -> beam.PCollection:
    """What the function makes of each element; a side input is a collection of one element, and
    where it is None the function gets none of that name."""
    sides = {
        name: beam.pvalue.AsSingleton(side)
        for name, side in side_inputs.items()
        if side is not None
    }
    return elements | label >> beam.ParDo(Step(context, function), **sides)


def gather(
    elements: beam.PCollection,
    label: str,
    context: Context,
    function: Callable[[Context, list[Any]], Any],
) -> beam.PCollection:
    """What `function(context, elements)` makes of all elements in one place, as the one element of
    a collection, also where there are none. Their order is not fixed, so it must not matter."""
    # As a side input, not by CombineGlobally: that takes twenty transforms, this takes three.
    once = elements.pipeline | f"{label}, once" >> beam.Impulse()
    step = Step(context, partial(_gather, function=function))
    return once | label >> beam.ParDo(step, elements=beam.pvalue.AsList(elements))


def _gather(
    context: Context,
    _: bytes,
    elements: Iterable[Any],
    function: Callable[[Context, list[Any]], Any],
) -> Iterator[Any]:
    yield function(context, list(elements))


def keep_stats(stats: beam.PCollection, context: Context) -> beam.PCollection:
    """Add up the counts and put them where the driver finds them, whichever runner ran."""
    return gather(stats, "Count", context, _write_total)


def _write_total(context: Context, stats: list[Any]) -> None:
    write_stats(context.catalog, context.stage, sum_stats(stats))
