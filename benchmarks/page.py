"""The page of a large run: how long it takes to write, how large it is, and how fast it is in a
headless Chromium.

Made-up tables, each pair with a prompt of 50 words, responses of 150, and two judges, one of whom
wrote 60 words; a tenth of the pairs is dropped by a filter. `first_view_ms` is from opening the
file to the first row, `search_ms` the first search of all texts, until the page is laid out again.

    python benchmarks/page.py            100,000 pairs
    python benchmarks/page.py --quick    4,000 pairs
    python benchmarks/page.py --page data/report.html --screenshots docs/images
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from machine import report
from verify import make_pairs, make_sentences

from prefdata.records import SCHEMA_VERSION
from prefdata.records.base import Record, fill_columns, polars_schema
from prefdata.records.dropped import drop_rows
from prefdata.tables import FileInfo, Table, TableInfo, begin, buckets_for, finish, write_bucket
from prefdata.tables.catalog import TABLES, Catalog

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
PARAMS = """
data: {data}
memo: null
models: {{policy: {{engine: scripted, model: policy}}}}
ingest: {{sources: [{{path: made_up.jsonl}}]}}
generate: {{model: policy}}
judge:
  judges:
    - {{kind: pairwise, model: policy, name: one}}
    - {{kind: pairwise, model: policy, name: other}}
consensus: {{kind: mean}}
pair: {{strategy: {{kind: best_worst}}}}
filter: {{filters: [{{kind: near_identical}}]}}
"""
SEARCH = """(words) => {
  const started = performance.now();
  const field = document.getElementById("text");
  field.value = words;
  field.dispatchEvent(new Event("input", {bubbles: true}));
  document.body.getBoundingClientRect();
  return performance.now() - started;
}"""


def make_tables(pairs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The rows of each table around these pairs, and "dropped"."""
    responses = [
        pairs.select(
            "prompt_id",
            response_id=f"{side}_id",
            policy=f"{side}_policy",
            text=side,
            model=pl.lit("made up"),
            finish_reason=pl.lit("stop"),
        )
        for side in ("chosen", "rejected")
    ]
    judgments = [
        pairs.select(
            "prompt_id",
            judge=pl.lit(judge),
            dimension=pl.lit("helpfulness"),
            response_a="chosen_id",
            response_b="rejected_id",
            preference=pl.lit(0.75),
            reward_a="reward_chosen",
            reward_b="reward_rejected",
            trace=pl.col("rejected").str.head(360) if judge == "one" else None,
        )
        for judge in ("one", "other")
    ]
    kept = pl.col("pair_id").str.slice(7, 1) != "0"
    lost = pairs.filter(~kept).with_columns(
        reason=pl.lit("near_identical"), detail=pl.lit("similarity 0.95 above 0.9")
    )
    record = ["pair_id", "prompt_id", "chosen_id", "rejected_id"]
    return {
        "prompts": pairs.select(
            "prompt_id", "messages", "source", "split", origin=pl.lit("made_up.jsonl:1")
        ),
        "responses": pl.concat(responses),
        "judgments": pl.concat(judgments),
        "augmented": pairs,
        "filtered": pairs.filter(kept),
        "dropped": drop_rows(lost, "filter", record, pl.lit(False)),
    }


def write_tables(data: str, count: int) -> None:
    """Write the tables of a run with this many pairs."""
    catalog, buckets, sentences = Catalog(data), buckets_for(count), make_sentences()
    tables: dict[str, Table] = {
        name: catalog.table(name, TABLES[name])
        for name in ("prompts", "responses", "judgments", "augmented", "filtered")
    }
    tables["dropped"] = catalog.dropped("filter")
    files: dict[str, list[FileInfo]] = {name: [] for name in tables}
    for table in tables.values():
        begin(table)
    for bucket in range(buckets):
        size = count * (bucket + 1) // buckets - count * bucket // buckets
        for name, rows in make_tables(make_pairs(bucket, buckets, size, sentences)).items():
            record: type[Record] = tables[name].record
            filled = fill_columns(rows, record).cast(dict(polars_schema(record)))
            files[name].append(write_bucket(tables[name], bucket, buckets, filled))
    for name, table in tables.items():
        rows = sum(file.rows for file in files[name])
        is_filter = name in ("filtered", "dropped")
        lost = count - sum(file.rows for file in files["filtered"]) if is_filter else 0
        info = TableInfo(
            record=table.record.__name__,
            schema_version=SCHEMA_VERSION,
            buckets=buckets,
            rows=rows,
            rows_in=count if is_filter else rows,
            rows_out=count - lost if is_filter else rows,
            dropped={"near_identical": lost} if is_filter else {},
            unit="pairs" if name in ("augmented", "filtered", "dropped") else name,
            files=files[name],
        )
        finish(table, info)


def write_page(folder: Path) -> tuple[float, Path]:
    """Run `prefdata report` on the tables: (seconds, the page)."""
    params, page = folder / "params.yaml", folder / "report.html"
    params.write_text(PARAMS.format(data=folder / "data"))
    command = [sys.executable, "-m", "prefdata.cli.app", "report"]
    started = time.monotonic()
    subprocess.run([*command, "--params", str(params), "--out", str(page)], check=True)
    return time.monotonic() - started, page


@contextmanager
def open_chromium() -> Iterator[Any]:
    """A headless Chromium: the one on the path, or PREFDATA_CHROMIUM."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("PREFDATA_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def measure_view(page: Path) -> dict[str, float]:
    """How fast the page is, and how many messages it writes to the console."""
    problems: list[str] = []
    with open_chromium() as browser:
        # The first page of a browser pays for its start.
        browser.new_page().close()
        view = browser.new_page(viewport={"width": 1280, "height": 900})
        view.on("console", lambda message: problems.append(message.text))
        view.on("pageerror", lambda error: problems.append(str(error)))
        started = time.monotonic()
        view.goto(page.as_uri(), wait_until="commit")
        view.wait_for_selector("#row h3")
        first_view = time.monotonic() - started
        search = view.evaluate(SEARCH, "word12")
        found = view.text_content("#found")
    print(f"found: {found}", *problems, sep="\n", flush=True)
    return {
        "first_view_ms": round(1000 * first_view),
        "search_ms": round(search),
        "console_errors": len(problems),
    }


def take_screenshots(page: Path, folder: Path) -> list[str]:
    """Pictures of the beginning of a page, and of its reader: report.png and rows.png."""
    images = [folder / "report.png", folder / "rows.png"]
    with open_chromium() as browser:
        size = {"width": 1200, "height": 1000}
        view = browser.new_page(viewport=size, color_scheme="light", reduced_motion="reduce")
        view.goto(page.resolve().as_uri())
        view.wait_for_selector("#row h3")
        folder.mkdir(parents=True, exist_ok=True)
        view.screenshot(path=images[0])
        view.evaluate("document.getElementById('filters').scrollIntoView()")
        view.screenshot(path=images[1])
    return [str(image) for image in images]


def main() -> None:
    """Write, open and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twenty-fifth")
    parser.add_argument("--folder", type=Path, help="keep what is written here, and read it again")
    parser.add_argument("--page", type=Path, help="a page that is there, for --screenshots")
    parser.add_argument("--screenshots", type=Path, help="the folder to write pictures of it into")
    arguments = parser.parse_args()
    if arguments.screenshots:
        print(json.dumps({"images": take_screenshots(arguments.page, arguments.screenshots)}))
        return
    count = 4_000 if arguments.quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        if not (folder / "data").exists():
            write_tables(str(folder / "data"), count)
        seconds, page = write_page(folder)
        figures = measure_view(page)
        report(
            benchmark="page",
            pairs=count,
            write_seconds=round(seconds, 1),
            mb=round(page.stat().st_size / 1e6, 1),
            **figures,
        )


if __name__ == "__main__":
    main()
