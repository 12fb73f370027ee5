"""The steps that stages are made of: a function on each element, and one on all of them."""

from __future__ import annotations

import pickle
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

    Where the run has worker processes, one of them does, unless the step is `brief`. A runner may
    repeat it, so the function must be safe to run again.
    """

    def __init__(
        self, context: Context, function: Callable[..., Iterable[Any]], brief: bool = False
    ) -> None:
        self.context, self.function, self.brief = context, function, brief

    def __dir__(self) -> list[str]:
        # Beam looks for user state in the signature of every method listed here, ten times a
        # step: a quarter of the time that a small stage takes. Only `process` could have any.
        return ["process"]

    def infer_output_type(self, input_type: Any) -> Any:
        # What Beam comes to as well, once it has read the bytecode of `process`.
        return beam.typehints.Any

    # Without annotations: Beam would check each side input against that of **side_inputs.
    def process(self, element, **side_inputs):
        runtime = self.context.runtime
        with carry_errors(runtime.stopping):
            if runtime.pool is None or self.brief:
                yield from self.function(self.context, element, **side_inputs)
            else:
                step = pickle.dumps((self.context, self.function))
                yield from runtime.pool.apply(step, element, side_inputs)


def spread_buckets(pipeline: beam.Pipeline, context: Context) -> beam.PCollection:
    """The bucket numbers, spread over the workers."""
    return spread_numbers(pipeline, "Buckets", context, context.buckets)


def spread_numbers(
    pipeline: beam.Pipeline, label: str, context: Context, count: int
) -> beam.PCollection:
    """The numbers from 0 to `count` - 1, spread over the workers."""
    once = pipeline | f"{label}, once" >> beam.Impulse()
    if count == 1:
        return apply_step(once, label, context, _list_one, brief=True)
    list_numbers = partial(_list_numbers, count=count)
    numbers = apply_step(once, label, context, list_numbers, brief=True)
    # A plain shuffle spreads distinct keys as well as Create's, which has ten transforms more.
    grouped = numbers | f"Spread {label}" >> beam.GroupByKey()
    return apply_step(grouped, f"{label}, spread", context, _take_key, brief=True)


def _list_one(_: Context, __: bytes) -> Iterator[int]:
    yield 0


def _list_numbers(_: Context, __: bytes, count: int) -> Iterator[tuple[int, None]]:
    for number in range(count):
        yield number, None


def _take_key(_: Context, grouped: tuple[int, Iterable[None]]) -> Iterator[int]:
    yield grouped[0]


def apply_step(
    elements: beam.PCollection,
    label: str,
    context: Context,
    function: Callable[..., Iterable[Any]],
    *,
    brief: bool = False,
    **side_inputs: beam.PCollection | None,
) -> beam.PCollection:
    """Apply the function to each element. A side input is a collection of one element; one that is
    None is not passed to the function. A function that is `brief` takes less time than it takes to
    send its element to another process."""
    sides = {
        name: beam.pvalue.AsSingleton(side)
        for name, side in side_inputs.items()
        if side is not None
    }
    return elements | label >> beam.ParDo(Step(context, function, brief), **sides)


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
    step = Step(context, partial(_gather, function=function), brief=True)
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
