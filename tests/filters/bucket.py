"""A bucket of pairs and their texts for tests of filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import polars as pl

from prefdata.engines.base import MESSAGES
from prefdata.filters.base import Filter, Here, Message, Texts
from prefdata.inference import Inference
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


def nobody() -> Inference:
    """An inference without models: a filter that asks fails."""
    return Inference({}, None)


def whole(step: Filter, buckets: Sequence[tuple[pl.DataFrame, Texts]], seed: int = 0) -> Decided:
    """A filter over several buckets as the pipeline runs it: measure, summarize and merge,
    scatter, relay and settle, decide. What arrives somewhere arrives in an order by the seed."""
    random = Random(seed)
    measured = [step.measure(some, texts, nobody()) for some, texts in buckets]
    measured = [m.filter(pl.col("fault").is_null()).drop("fault") for m in measured]
    summary = None
    if step.across_buckets:
        summaries = [step.summarize(m) for m in measured if m.height]
        summary = step.merge(random.sample(summaries, len(summaries)))
    if step.rounds:
        summary = _exchange(step, measured, [texts for _, texts in buckets], summary, random)
    decided = pl.concat([step.decide(m, summary) for m in measured if m.height])
    return Decided(decided, summary)


@dataclass(frozen=True)
class Decided:
    """All buckets' decided pairs, and the summary they were decided by."""

    pairs: pl.DataFrame
    summary: pl.DataFrame | None

    def reasons(self) -> dict[str, str | None]:
        return dict(self.pairs.select("pair_id", "reason").iter_rows())


def _exchange(
    step: Filter,
    measured: list[pl.DataFrame],
    texts: list[Texts],
    summary: pl.DataFrame | None,
    random: Random,
) -> pl.DataFrame:
    parts = max(1, len(measured) // 2)

    def here(number: int) -> Here:
        return Here(number, len(measured), parts, lambda b, table: getattr(texts[b], table))

    sent = [m for n, some in enumerate(measured) for m in step.scatter(some, summary, here(n))]
    for number in range(1, step.rounds + 1):
        random.shuffle(sent)
        reached = {message.to for message in sent}
        assert reached <= set(range(parts))
        sent = [m for p in reached for m in step.relay(number, _mail(sent, p), here(p))]
    random.shuffle(sent)
    return step.settle(_mail(sent, None))


def _mail(sent: list[Message], to: int | None) -> dict[str, pl.DataFrame]:
    frames: dict[str, list[pl.DataFrame]] = {}
    for message in sent:
        if to in (None, message.to) and message.frame.height:
            frames.setdefault(message.topic, []).append(message.frame)
    return {topic: pl.concat(some) for topic, some in frames.items()}
