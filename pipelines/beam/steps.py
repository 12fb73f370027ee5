"""The steps that stages are made of: a function on each element, and a gathering in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


class Gather(beam.CombineFn):
    """All elements in one place, where `function(context, elements)` makes one of them.

    Their order is not fixed, so the function must not depend on it.
    """

    def __init__(self, context: Context, function: Callable[[Context, list[Any]], Any]) -> None:
        self.context, self.function = context, function

    def create_accumulator(self) -> list[Any]:
        return []

    def add_input(self, accumulator: list[Any], element: Any) -> list[Any]:
        accumulator.append(element)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[Any]]) -> list[Any]:
        return [element for some in accumulators for element in some]

    def extract_output(self, accumulator: list[Any]) -> Any:
        with carry_errors(self.context.runtime.stopping):
            return self.function(self.context, accumulator)


def spread_buckets(pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
    """The bucket numbers, spread over the workers."""
    numbers = pipeline | "Buckets" >> beam.Create(range(context.buckets))
    return numbers | "Spread" >> beam.Reshuffle()


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
    """What the function makes of all elements, as the one element of a collection."""
    return elements | label >> beam.CombineGlobally(Gather(context, function))


def keep_stats(stats: beam.PCollection, context: Context) -> beam.PCollection:
    """Add up the counts and put them where the driver finds them, whichever runner ran."""
    return gather(stats, "Count", context, _write_total)


def _write_total(context: Context, stats: list[Any]) -> None:
    write_stats(context.catalog, context.stage, sum_stats(stats))
