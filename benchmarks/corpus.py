"""Real texts for benchmarks, and tables of pairs around them."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from prefdata.config.params import Params
from prefdata.messages.columns import fill_messages
from prefdata.records import SCHEMA_VERSION
from prefdata.records.base import fill_columns, polars_schema
from prefdata.tables import FileInfo, TableInfo, begin, bucket_of, buckets_for, finish, write_bucket
from prefdata.tables.catalog import TABLES, Catalog

DEMO = Path(__file__).resolve().parents[1] / "demo" / "data"
MIN_WORDS = 12


def real_texts(folder: Path) -> list[str]:
    """Every distinct text of MIN_WORDS words or more in the folder's JSONL and Parquet files."""
    found: dict[str, None] = {}
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".parquet"):
            rows: Iterator[object] = iter(pl.read_parquet(path).to_dicts())
        elif ".jsonl" in path.name:
            opener = gzip.open if path.suffix == ".gz" else open
            with opener(path, "rt", encoding="utf-8") as file:  # type: ignore[operator]
                rows = iter([json.loads(line) for line in file])
        else:
            continue
        for row in rows:
            for text in _strings(row):
                if len(text.split()) >= MIN_WORDS:
                    found[text.strip()] = None
    return list(found)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def texts(folder: Path, count: int, seed: int = 0) -> tuple[list[str], int]:
    """(`count` distinct texts, how many of them are whole real ones): where there are too few, the
    others are four to ten sentences of real texts put together anew."""
    draw = random.Random(seed)
    real = real_texts(folder)
    draw.shuffle(real)
    whole = real[:count]
    sentences = list({s for t in real for s in re.split(r"(?<=[.!?])\s+|\n+", t) if len(s) > 20})
    sentences.sort()
    made = dict.fromkeys(whole)
    while len(made) < count:
        made[" ".join(draw.choices(sentences, k=draw.randint(4, 10)))] = None
    return list(made), len(whole)


def write_tables(params: Params, prompts: list[str]) -> list[str]:
    """Write the tables before `filter`, one pair per prompt with a margin drawn from its id.
    Returns the ids."""
    ids = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in prompts]
    buckets = buckets_for(len(ids))
    order = np.argsort(np.array(ids))
    bounds = np.searchsorted(
        np.array([bucket_of(ids[i], buckets) for i in order]), np.arange(buckets + 1)
    )
    tables = {
        name: Catalog(params.data).table(name, TABLES[name])
        for name in ("prompts", "responses", "augmented")
    }
    files: dict[str, list[FileInfo]] = {name: [] for name in tables}
    for table in tables.values():
        begin(table)
    for bucket in range(buckets):
        rows = order[bounds[bucket] : bounds[bucket + 1]]
        frame = pl.DataFrame(
            {"prompt_id": [ids[i] for i in rows], "text": [prompts[i] for i in rows]},
            schema={"prompt_id": pl.String, "text": pl.String},
        )
        for name, made in _rows(frame).items():
            filled = fill_columns(made, TABLES[name])
            rows_of = filled.cast(dict(polars_schema(TABLES[name])))
            files[name].append(write_bucket(tables[name], bucket, buckets, rows_of))
    for name, table in tables.items():
        finish(
            table,
            TableInfo(
                record=TABLES[name].__name__,
                schema_version=SCHEMA_VERSION,
                buckets=buckets,
                rows=sum(file.rows for file in files[name]),
                rows_in=len(ids),
                rows_out=len(ids),
                unit="rows",
                files=files[name],
            ),
        )
    return ids


def _rows(prompts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """One bucket's rows of each table."""
    message = pl.struct(pl.lit("user").alias("role"), pl.col("text").alias("content"))
    responses = [
        prompts.select(
            "prompt_id",
            response_id=pl.col("prompt_id") + pl.lit(side),
            policy=pl.lit("none"),
            sample_index=number,
            text=pl.lit(f"response {side}"),
            model=pl.lit("none"),
            n_tokens=3,
            finish_reason=pl.lit("stop"),
            cumulative_logprob=-1.0,
            mean_token_logprob=-0.5,
        )
        for number, side in enumerate("ab")
    ]
    digits = pl.col("prompt_id").str.slice(8, 6).str.to_integer(base=16)
    pairs = prompts.select(
        "prompt_id",
        pair_id=pl.col("prompt_id").str.reverse(),
        chosen_id=pl.col("prompt_id") + pl.lit("a"),
        rejected_id=pl.col("prompt_id") + pl.lit("b"),
        chosen_policy=pl.lit("none"),
        rejected_policy=pl.lit("none"),
        same_form=True,
        strategy=pl.lit("best_worst"),
        soft_label=0.5 + digits / 2**25,
        agreement=1.0,
        flag=pl.lit(None, dtype=pl.String),
        reward_chosen=digits / 2**24,
        reward_rejected=0.0,
        margin=digits / 2**24,
        judgments=pl.lit([], dtype=polars_schema(TABLES["augmented"])["judgments"]),
    )
    turns = prompts.select(turns=pl.concat_list(message))["turns"]
    asked = prompts.select(
        "prompt_id",
        messages=fill_messages(turns),
        split=pl.lit("train"),
        source=pl.lit("corpus"),
        origin=pl.lit("corpus"),
    )
    return {"prompts": asked, "responses": pl.concat(responses), "augmented": pairs}
