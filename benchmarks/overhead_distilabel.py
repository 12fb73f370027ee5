"""The flow of overhead.py in distilabel, as near as it goes: run by a Python that has it.

N prompts x 4 responses of about 1 KB by a model that replies at once, one call of a judge that
rates all four (UltraFeedback), best against worst. It prints the seconds on the clock, start-up
counted in, and the peak memory of its largest process, as JSON.

    python -m venv other && other/bin/pip install distilabel requests
    other/bin/python benchmarks/overhead_distilabel.py 2000
    python benchmarks/overhead.py --against other/bin/python
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from typing import Any

from distilabel.models.llms import LLM
from distilabel.pipeline import Pipeline
from distilabel.steps import FormatTextGenerationDPO, LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration, UltraFeedback

RESPONSES = 4
CORPUS = " ".join(f"word{n * 7 % 48}" for n in range(4000))


class Instant(LLM):
    """Replies at once: to a judge's prompt with ratings, to others with about 1 KB of text."""

    judges: bool = False

    @property
    def model_name(self) -> str:
        return "instant"

    def generate(self, inputs: list[Any], num_generations: int = 1) -> list[Any]:
        return [self._reply(hash(str(each)), num_generations) for each in inputs]

    def _reply(self, seed: int, count: int) -> dict[str, Any]:
        draw = random.Random(seed)
        if self.judges:
            texts = [self._rate(draw) for _ in range(count)]
        else:
            starts = (draw.randrange(10_000) for _ in range(count))
            texts = [CORPUS[start : start + 1000] for start in starts]
        tokens = [250] * count
        return {
            "generations": texts,
            "statistics": {"input_tokens": tokens, "output_tokens": tokens},
        }

    def _rate(self, draw: random.Random) -> str:
        ratings = draw.sample(range(1, 6), RESPONSES)
        lines = (
            f"#### Output for Text {number}\nRating: {rating}\nRationale: as good as that."
            for number, rating in enumerate(ratings, 1)
        )
        return "\n\n".join(lines)


def main(count: int) -> None:
    """Run the flow on `count` prompts."""
    words = "why does the old river bend so far from where it was drawn on every map".split()
    draw = random.Random(0)
    rows = [{"instruction": f"{n}: " + " ".join(draw.choices(words, k=24))} for n in range(count)]
    started = time.monotonic()
    with Pipeline(name="overhead") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=1000)
        generate = TextGeneration(
            llm=Instant(),
            num_generations=RESPONSES,
            group_generations=True,
            input_batch_size=1000,
            output_mappings={"generation": "generations"},
        )
        judge = UltraFeedback(
            llm=Instant(judges=True), aspect="overall-rating", input_batch_size=1000
        )
        load >> generate >> judge >> FormatTextGenerationDPO(input_batch_size=1000)
    made = pipeline.run(use_cache=False)["default"]["train"]
    seconds = time.monotonic() - started
    assert len(made) > 0.9 * count, f"only {len(made)} rows of {count} prompts"
    largest = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps({"seconds": seconds, "mib": largest / 1024}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
