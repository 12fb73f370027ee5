"""The steps that stages are made of: a function on each element, and one on all of them."""

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
    """Applies `function(context, element, **side_inputs)`, which yields the results, to an element.

    A runner may repeat it, so the function must be safe to run again.
    """

    def __init__(self, context: Context, function: Callable[..., Iterable[Any]]) -> None:
        self.context, self.function = context, function

    # Without annotations: Beam would check each side input against that of **side_inputs.
    def process(self, element, **side_inputs):
        with carry_errors(self.context.runtime.stopping):
            yield from self.function(self.context, element, **side_inputs)


def spread_buckets(pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
    """The bucket numbers, spread over the workers."""
    # Create already spreads its elements; a Reshuffle would be one more shuffle per stage.
    return pipeline | "Buckets" >> beam.Create(range(context.buckets))


def apply_step(
    elements: beam.PCollection,
    label: str,
    context: Context,
    function: Callable[..., Iterable[Any]],
    **side_inputs: beam.PCollection | None,
) -> beam.PCollection:
    """Apply the function to each element. A side input is a collection of one element; one that is
    None is not passed to the function."""
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
    """Apply `function(context, elements)` once, to all elements, even if there are none. The result
    is a collection of one element. The order of elements is not fixed, so it must not matter."""
    # By a side input rather than CombineGlobally: three transforms instead of twenty.
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
    """Add up the counts and write them to a file, where the driver finds them on any runner."""
    return gather(stats, "Count", context, _write_total)


def _write_total(context: Context, stats: list[Any]) -> None:
    write_stats(context.catalog, context.stage, sum_stats(stats))
