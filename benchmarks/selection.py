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
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import polars as pl
from corpus import DEMO, real_texts
from machine import report

from prefdata.engines.base import Settings
from prefdata.engines.sentence import SentenceConfig, SentenceEngine
from prefdata.filters.base import Location, Parcel
from prefdata.filters.registry import FILTERS
from prefdata.filters.vectors.embeddings import normalize, pack_vectors
from prefdata.inference import Inference
from prefdata.pipelines.beam.exchange import count_partitions
from prefdata.statistics.vendi import vendi_score
from prefdata.tables import buckets_for


def embeddings(data: Path, count: int) -> np.ndarray:
    """(count, 384)."""
    texts = real_texts(data)[: count // 50]
    engine = SentenceEngine("embedder", SentenceConfig(model="minilm"))
    rows = pl.DataFrame({"text": texts, "prompt_id": texts})
    asked = Inference({"embedder": engine}, None).ask("embedder", "embed", Settings(), rows)
    real = np.stack(asked["embedding"].to_numpy()).astype(np.float32)
    draw = np.random.default_rng(0)
    popular = 1 / np.arange(1, len(real) + 1)
    one = draw.choice(len(real), count, p=popular / popular.sum())
    other = draw.integers(0, len(real), count)
    share = draw.beta(0.5, 2, (count, 1)).astype(np.float32)
    noise = draw.standard_normal((count, real.shape[1]), dtype=np.float32) * np.float32(0.005)
    return normalize((1 - share) * real[one] + share * real[other] + noise)


def deduplicated(vectors: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(the rows that stay, seconds, CPU seconds): semantic_duplicates, all its steps but the
    embedding and the stage's tables."""
    count = len(vectors)
    buckets = buckets_for(count)
    partitions = count_partitions(buckets)
    draw = np.random.default_rng(2)
    rows = pl.DataFrame(
        {
            "prompt_id": [f"{n:032x}" for n in range(count)],
            "messages": [[{"role": "user", "content": str(n)}] for n in range(count)],
            "content": draw.integers(0, 1 << 64, count, dtype=np.uint64),
            "vector": pack_vectors(vectors),
            "margin": draw.random(count),
            "soft_label": 0.9,
        }
    )
    tables = [rows[np.arange(number, count, buckets)] for number in range(buckets)]
    step: Any = FILTERS.parse({"kind": "semantic_duplicates"})

    def locate(number: int) -> Location:
        return Location(number, buckets, partitions, lambda bucket, _: tables[bucket])

    started, used = time.monotonic(), cpu()
    summary = step.merge([step.summarize(table) for table in tables])
    sent: dict[int, list[Parcel]] = {}
    for number, table in enumerate(tables):
        for parcel in step.scatter(step.assign(table, summary), locate(number)):
            sent.setdefault(parcel.partition, []).append(parcel)
    linked: list[Parcel] = []
    for partition in sorted(sent):
        texts = pl.concat(parcel.frame for parcel in sent.pop(partition))
        linked += step.relay(1, {"texts": texts}, locate(partition))
    settled = step.settle(
        {
            topic: pl.concat(p.frame for p in linked if p.topic == topic)
            for topic in {p.topic for p in linked}
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
    quality = draw.random(count)
    rows = pl.DataFrame(
        {
            "id": [f"{n:032x}" for n in range(count)],
            "content": draw.integers(0, 1 << 63, count).astype(np.uint64),
            "vector": pack_vectors(vectors),
            "quality": quality,
        }
    )
    figures: dict[str, float] = {}
    for kind in ("k_center", "facility_location", "quality_diversity"):
        selection: Any = FILTERS.parse({"kind": kind, "budget": budget})
        started, used = time.monotonic(), cpu()
        summary = selection.merge([rows])
        seconds, cpu_seconds = time.monotonic() - started, cpu() - used
        found = {figure.name: figure.value for figure in selection.figures(summary)}
        mean = summary.join(rows, on="id").filter("stays")["quality"].mean()
        print(kind, round(seconds, 1), round(cpu_seconds, 1), found, mean, flush=True)
        name = "" if kind == "k_center" else f"_{kind}"
        figures[f"seconds{name}"] = round(seconds, 1)
        figures[f"cpu_seconds{name}"] = round(cpu_seconds, 1)
        figures[f"vendi{name}"] = round(found["vendi_after"], 2)
        figures[f"neighbour_distance{name}"] = round(found["neighbour_distance_after"], 4)
        figures[f"coverage{name}"] = round(found["coverage_after"], 3)
        figures[f"left_distance{name}"] = round(float(summary["distance"].to_numpy().mean()), 4)
        if kind == "k_center":
            figures["vendi_random"] = round(found["vendi_random"], 2)
            figures["vendi_all"] = round(found["vendi_before"], 2)
            figures["coverage_random"] = round(found["coverage_random"], 3)
    for name, some in (("_dedup_half", vectors[: count // 2]), ("_dedup", vectors)):
        left, seconds, cpu_seconds = deduplicated(some)
        print(name, len(left), "stay", round(seconds, 1), round(cpu_seconds, 1), flush=True)
        figures[f"seconds{name}"] = round(seconds, 1)
        figures[f"cpu_seconds{name}"] = round(cpu_seconds, 1)
    kept = left[draw.permutation(len(left))[:budget]]
    figures["vendi_dedup"] = round(vendi_score(vectors[kept]), 2)
    figures["dedup_left_share"] = round(len(left) / count, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(benchmark="selection", budget=budget, rows=count, peak_mib=round(peak), **figures)


if __name__ == "__main__":
    main()
