"""A bucket of pairs and their texts for tests of filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import polars as pl

from prefdata.filters.base import (
    CrossBucketFilter,
    ExchangeFilter,
    Filter,
    Location,
    Parcel,
    RowFilter,
    SummarizingFilter,
    SummaryExchangeFilter,
    Texts,
)
from prefdata.filters.registry import FILTERS
from prefdata.inference import Inference
from prefdata.messages.columns import MESSAGES
from prefdata.records import AugmentedPair
from prefdata.records.base import polars_schema


def pairs(*made: tuple[str, str, str], soft_labels: list[float] | None = None) -> pl.DataFrame:
    """Pairs of (chosen_id, rejected_id, prompt_id)."""
    rows = [
        {
            "pair_id": f"{prompt}:{chosen}>{rejected}",
            "prompt_id": prompt,
            "chosen_id": chosen,
            "rejected_id": rejected,
            "chosen_policy": "policy",
            "rejected_policy": "policy",
            "same_form": True,
            "strategy": "best_worst",
            "soft_label": soft_labels[n] if soft_labels else 0.8,
            "agreement": 1.0,
            "judgments": [],
        }
        for n, (chosen, rejected, prompt) in enumerate(made)
    ]
    return pl.DataFrame(rows, schema=polars_schema(AugmentedPair))


def texts(responses: dict[str, str], prompts: dict[str, str] | None = None) -> Texts:
    """Responses and prompts by id; without prompts all responses are to the prompt `p`."""
    asked = prompts or {"p": "Why?"}
    return Texts(
        pl.DataFrame(
            {
                "prompt_id": list(asked),
                "messages": [[{"role": "user", "content": text}] for text in asked.values()],
            },
            schema={"prompt_id": pl.String, "messages": MESSAGES},
        ),
        pl.DataFrame(
            {
                "response_id": list(responses),
                "prompt_id": [next(iter(asked))] * len(responses),
                "text": list(responses.values()),
                "finished": [True] * len(responses),
            },
            schema={
                "response_id": pl.String,
                "prompt_id": pl.String,
                "text": pl.String,
                "finished": pl.Boolean,
            },
        ),
    )


def build(kind: str, **settings: Any) -> Any:
    """The filter, set up."""
    made = FILTERS.parse({"kind": kind, **settings}, "filter.filters.0")
    made.setup()
    return made


def no_models() -> Inference:
    """An inference without models: a filter that asks fails."""
    return Inference({}, None)


@dataclass(frozen=True)
class Decided:
    """All buckets' decided pairs, and the summary they were decided by."""

    pairs: pl.DataFrame
    summary: pl.DataFrame | None

    def reasons(self) -> dict[str, str | None]:
        return dict(self.pairs.select("pair_id", "reason").iter_rows())

    def details(self) -> list[tuple[str | None, str | None]]:
        """(reason, detail) of every pair."""
        return list(self.pairs.select("reason", "detail").iter_rows())


def run_filter(
    step: Filter,
    buckets: Sequence[tuple[pl.DataFrame, Texts]],
    inference: Inference | None = None,
    seed: int = 0,
) -> Decided:
    """A filter over several buckets as the pipeline runs it, shape by shape. What arrives
    somewhere arrives in an order by the seed."""
    random = Random(seed)
    measured = [step.measure(some, texts, inference or no_models()) for some, texts in buckets]
    measured = [m.filter(pl.col("fault").is_null()).drop("fault") for m in measured]
    if isinstance(step, RowFilter):
        return Decided(pl.concat([step.decide(m) for m in measured if m.height]), None)
    summary = None
    if isinstance(step, SummarizingFilter):
        summaries = [step.summarize(m) for m in measured if m.height]
        summary = step.merge(random.sample(summaries, len(summaries)))
    if isinstance(step, ExchangeFilter):
        sending = measured
        if isinstance(step, SummaryExchangeFilter):
            assert summary is not None
            sending = [step.assign(m, summary) for m in measured]
        summary = _exchange(step, sending, [texts for _, texts in buckets], random)
    assert isinstance(step, CrossBucketFilter)
    assert summary is not None
    decided = pl.concat([step.decide(m, summary) for m in measured if m.height])
    return Decided(decided, summary)


def figures(step: Any, decided: Decided) -> dict[str, float]:
    """The filter's figures by their names, each of them once."""
    found = step.figures(decided.summary)
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure.value for figure in found}


def _exchange(
    step: ExchangeFilter, measured: list[pl.DataFrame], texts: list[Texts], random: Random
) -> pl.DataFrame:
    partitions = max(1, len(measured) // 2)

    def locate(number: int) -> Location:
        return Location(
            number, len(measured), partitions, lambda b, table: getattr(texts[b], table)
        )

    sent = [parcel for n, some in enumerate(measured) for parcel in step.scatter(some, locate(n))]
    for number in range(1, step.rounds + 1):
        random.shuffle(sent)
        reached = {parcel.partition for parcel in sent}
        assert reached <= set(range(partitions))
        sent = [s for p in reached for s in step.relay(number, _inbox(sent, p), locate(p))]
    random.shuffle(sent)
    return step.settle(_inbox(sent, None))


def _inbox(sent: list[Parcel], partition: int | None) -> dict[str, pl.DataFrame]:
    frames: dict[str, list[pl.DataFrame]] = {}
    for parcel in sent:
        if partition in (None, parcel.partition) and parcel.frame.height:
            frames.setdefault(parcel.topic, []).append(parcel.frame)
    return {topic: pl.concat(some) for topic, some in frames.items()}
