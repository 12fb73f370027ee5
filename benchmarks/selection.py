"""Selection under a budget: time, and diversity against random and plain deduplication.

The embeddings are those of real texts (the folder of --data, by default demo/data) by the packaged
MiniLM, 384 numbers each, brought up to size by recombination: a text's vector moved a random
way towards another's, plus noise; popular texts, drawn by a Zipf law, have many variants, as
prompts have. Each selection runs as the filter's `merge` does, figures of diversity included.

- vendi: the Vendi score of what k_center keeps, the kind for diversity above all; for the others,
  which also ask for quality or for likeness to the rest, vendi_KIND
- left_distance: the mean distance of all to the nearest that stays; facility_location is for that
- vendi_random: of as many at random
- vendi_dedup: of as many at random from what semantic_duplicates at 0.95 leaves; that filter is
  timed too, at this size and at half of it, its exchange run in one process (seconds_dedup)

    python benchmarks/selection.py            10,000 of 200,000
    python benchmarks/selection.py --quick    1,000 of 20,000
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import polars as pl
from corpus import DEMO, real_texts
from machine import report

from prefdata.engines.base import Settings
from prefdata.engines.sentence import SentenceConfig, SentenceEngine
from prefdata.filters.base import Here, Message
from prefdata.filters.duplicates.semantic_duplicates import SemanticDuplicates
from prefdata.filters.selection.diversity import vendi
from prefdata.filters.selection.facility_location import FacilityLocation
from prefdata.filters.selection.k_center import KCenter
from prefdata.filters.selection.quality_diversity import QualityDiversity
from prefdata.filters.vectors.embedded import normalized, packed
from prefdata.inference import Inference
from prefdata.pipelines.beam.exchange import parts_for
from prefdata.tables import buckets_for


def embeddings(data: Path, count: int) -> np.ndarray:
    """(count, 384)."""
    texts = real_texts(data)[: count // 50]
    engine = SentenceEngine("embedder", SentenceConfig(model="minilm"))
    rows = pl.DataFrame({"text": texts, "place": texts})
    asked = Inference({"embedder": engine}, None).ask("embedder", "embed", Settings(), rows)
    real = np.stack(asked["embedding"].to_numpy()).astype(np.float32)
    draw = np.random.default_rng(0)
    popular = 1 / np.arange(1, len(real) + 1)
    one = draw.choice(len(real), count, p=popular / popular.sum())
    other = draw.integers(0, len(real), count)
    share = draw.beta(0.5, 2, (count, 1)).astype(np.float32)
    noise = draw.standard_normal((count, real.shape[1]), dtype=np.float32) * np.float32(0.005)
    return normalized((1 - share) * real[one] + share * real[other] + noise)


def deduplicated(vectors: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(the rows that stay, seconds, CPU seconds): semantic_duplicates, all its steps but the
    embedding and the stage's tables."""
    count = len(vectors)
    buckets = buckets_for(count)
    parts = parts_for(buckets)
    draw = np.random.default_rng(2)
    rows = pl.DataFrame(
        {
            "prompt_id": [f"{n:032x}" for n in range(count)],
            "messages": [[{"role": "user", "content": str(n)}] for n in range(count)],
            "content": draw.integers(0, 1 << 64, count, dtype=np.uint64),
            "vector": packed(vectors),
            "margin": draw.random(count),
            "soft_label": 0.9,
        }
    )
    tables = [rows[np.arange(number, count, buckets)] for number in range(buckets)]
    step = SemanticDuplicates({}, "filter.filters.0")

    def here(number: int) -> Here:
        return Here(number, buckets, parts, lambda bucket, _: tables[bucket])

    started, used = time.monotonic(), cpu()
    summary = step.merge([step.summarize(table) for table in tables])
    mail: dict[int, list[Message]] = {}
    for number, table in enumerate(tables):
        for message in step.scatter(table, summary, here(number)):
            mail.setdefault(message.to, []).append(message)
    found: list[Message] = []
    for part in sorted(mail):
        texts = pl.concat(message.frame for message in mail.pop(part))
        found += step.relay(1, {"texts": texts}, here(part))
    settled = step.settle(
        {
            topic: pl.concat(m.frame for m in found if m.topic == topic)
            for topic in {m.topic for m in found}
        }
    )
    stays = rows.with_row_index("row").join(settled, left_on="prompt_id", right_on="id", how="anti")
    return stays["row"].to_numpy(), time.monotonic() - started, cpu() - used


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth")
    parser.add_argument("--data", type=Path, default=DEMO, help="folder of JSONL, Parquet")
    arguments = parser.parse_args()
    budget, count = (1_000, 20_000) if arguments.quick else (10_000, 200_000)
    vectors = embeddings(arguments.data, count)
    draw = np.random.default_rng(1)
    scores = draw.random(count)
    rows = pl.DataFrame(
        {
            "id": [f"{n:032x}" for n in range(count)],
            "content": draw.integers(0, 1 << 63, count).astype(np.uint64),
            "vector": packed(vectors),
            "score": scores,
        }
    )
    figures: dict[str, float] = {}
    for step in (KCenter, FacilityLocation, QualityDiversity):
        selection = step({"budget": budget}, "filter.filters.0")
        started, used = time.monotonic(), cpu()
        summary = selection.merge([rows])
        seconds, cpu_seconds = time.monotonic() - started, cpu() - used
        found = selection.figures(summary)
        score = summary.join(rows, on="id").filter("stays")["score"].mean()
        print(step.kind, round(seconds, 1), round(cpu_seconds, 1), found, score, flush=True)
        name = "" if step is KCenter else f"_{step.kind}"
        figures[f"seconds{name}"] = round(seconds, 1)
        figures[f"cpu_seconds{name}"] = round(cpu_seconds, 1)
        figures[f"vendi{name}"] = round(found["vendi_after"], 2)
        figures[f"neighbour_distance{name}"] = round(found["neighbour_distance_after"], 4)
        figures[f"coverage{name}"] = round(found["coverage_after"], 3)
        figures[f"left_distance{name}"] = round(float(summary["distance"].to_numpy().mean()), 4)
        if step is KCenter:
            figures["vendi_random"] = round(found["vendi_random"], 2)
            figures["vendi_all"] = round(found["vendi_before"], 2)
            figures["coverage_random"] = round(found["coverage_random"], 3)
    for name, some in (("_dedup_half", vectors[: count // 2]), ("_dedup", vectors)):
        left, seconds, cpu_seconds = deduplicated(some)
        print(name, len(left), "stay", round(seconds, 1), round(cpu_seconds, 1), flush=True)
        figures[f"seconds{name}"] = round(seconds, 1)
        figures[f"cpu_seconds{name}"] = round(cpu_seconds, 1)
    kept = left[draw.permutation(len(left))[:budget]]
    figures["vendi_dedup"] = round(vendi(vectors[kept]), 2)
    figures["dedup_left_share"] = round(len(left) / count, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(benchmark="selection", budget=budget, rows=count, peak_mib=round(peak), **figures)


if __name__ == "__main__":
    main()
