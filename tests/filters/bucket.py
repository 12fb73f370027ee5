"""A bucket of pairs and their texts for tests of filters."""

from __future__ import annotations

import polars as pl

from prefdata.engines.base import MESSAGES
from prefdata.filters.base import Texts
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
            "opinions": [],
        }
        for n, (chosen, rejected, prompt) in enumerate(made)
    ]
    return pl.DataFrame(rows, schema=polars_schema(AugmentedPair))


def texts(answers: dict[str, str], prompts: dict[str, str] | None = None) -> Texts:
    """Answers and prompts by id; without prompts all answers are to the prompt `p`."""
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
                "response_id": list(answers),
                "prompt_id": [next(iter(asked))] * len(answers),
                "text": list(answers.values()),
                "finished": [True] * len(answers),
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
