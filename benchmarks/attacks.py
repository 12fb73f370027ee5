"""What an attacker and an unlucky disk can do: flipped bits, hostile inputs, kills.

- flips, flips_accepted: one bit of a table, the memo or a dataset is flipped, and it is read again;
  accepted is what reads as other content without an error or a warning.
- fuzzed, tracebacks: mutated rows, labels, datasets, ground truths, servers' replies and params
  (fuzzers.py) are read; a traceback is any exception that is not prefdata's own.
- hangs: inputs that took longer than 20 s.
- kills, identical, asked_again: those of kills.py, which is a benchmark of its own.

The exit code is 1 if a flip was accepted, or an input ended in a traceback or a hang.

    python benchmarks/attacks.py            2,000 flips, 5,000 inputs, 30 kills
    python benchmarks/attacks.py --quick    60 flips, 350 inputs, no kills: a test makes them
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import fuzzers
import kills
import polars as pl
from machine import report
from overhead import write_prompts

from prefdata.cli.command import prepare_logging
from prefdata.config import load_params
from prefdata.dataset.versions import find_newest, is_whole
from prefdata.errors import PrefdataError
from prefdata.inference import Memo, segments
from prefdata.pipelines.run import run_flow
from prefdata.records import Judgment, Label, Pair, Prompt, Response
from prefdata.tables import read_table
from prefdata.tables.catalog import Catalog

HANG_SECONDS = 20
STUCK_SECONDS = 300
"""An input that holds the interpreter's lock so long ends the benchmark, with its traceback."""
TABLES = {
    "prompts": Prompt,
    "responses": Response,
    "judgments": Judgment,
    "labels": Label,
    "pairs": Pair,
}


class HangError(BaseException):
    """An input takes too long; no `except Exception` on its way may take it for an error."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise HangError in what takes longer than HANG_SECONDS."""

    def stop(*_: Any) -> NoReturn:
        raise HangError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def fuzz(count: int) -> dict[str, int]:
    """Feed `count` mutated inputs, as many of each kind."""
    figures = {"fuzzed": 0, "refused": 0, "tracebacks": 0, "hangs": 0}
    for number in range(count):
        name = list(fuzzers.INPUTS)[number % len(fuzzers.INPUTS)]
        figures["fuzzed"] += 1
        try:
            with limited():
                fuzzers.feed(name, number)
        except PrefdataError:
            figures["refused"] += 1
        except HangError:
            figures["hangs"] += 1
            print(f"{name} {number}: a hang")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            figures["tracebacks"] += 1
            print(f"{name} {number}: {''.join(traceback.format_exception(error))}")
    return figures


class Warnings(logging.Handler):
    """Counts warnings."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def flip(files: list[Path], read: Callable[[], Any], count: int, name: str) -> int:
    """Flip `count` bits, one at a time, in files that are drawn by their size. Returns how many
    `read` took for other content, without an error or a warning."""
    draw, warnings = random.Random(name), Warnings()
    logger = logging.getLogger("prefdata")
    logger.addHandler(warnings)
    logger.propagate = False
    wanted, accepted = read(), 0
    sizes = [path.stat().st_size for path in files]
    for _ in range(count):
        (path,) = draw.choices(files, sizes)
        content = path.read_bytes()
        bit = draw.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        before = warnings.count
        try:
            other = read() != wanted
        except PrefdataError:
            other = False
        finally:
            path.write_bytes(content)
        if other and warnings.count == before:
            accepted += 1
            print(f"{path.name}, bit {bit} of {8 * len(content)}: read as other content")
    logger.removeHandler(warnings)
    logger.propagate = True
    return accepted


def flip_all(tables: int, others: int) -> dict[str, int]:
    """Run a flow, and flip bits of its tables, its memo and its dataset."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_prompts(folder / "prompts.jsonl", 24)
        params = folder / "params.yaml"
        params.write_text(kills.PARAMS.replace("{latency_seconds: 0.12}", "{}"))
        settings = [f"data={folder}/data", f"memo={folder}/data/memo", "buckets=2"]
        settings += [f"ingest.sources.0.path={folder}/prompts.jsonl"]
        run_flow(load_params(params, settings))
        accepted = {
            "tables": flip_tables(folder, tables),
            "memo": flip_memo(folder, others),
            "datasets": flip_dataset(folder, others),
        }
    return {"flips": tables + 2 * others, "flips_accepted": sum(accepted.values())}


def flip_tables(folder: Path, count: int) -> int:
    """Flip bits of tables, each of which is read whole."""
    catalog, accepted = Catalog(str(folder / "data")), 0
    for name, record in TABLES.items():
        table = catalog.table(name, record)
        files = sorted(path for path in Path(table.folder).iterdir() if path.is_file())

        def read(table: Any = table) -> Any:
            return read_table(table).to_dict(as_series=False)

        accepted += flip(files, read, count // len(TABLES), name)
    return accepted


def flip_memo(folder: Path, count: int) -> int:
    """Flip bits of segments. A result that is gone is asked again, so only another one counts."""
    (model,) = (folder / "data/memo/generate").iterdir()
    files = sorted(path for path in model.iterdir() if segments.parse_name(path.name))
    keys = pl.concat(pl.read_parquet(path, columns=["key"]) for path in files)
    wanted = keys.with_columns(prompt_id=pl.lit("0" * 32))
    wanted = pl.concat([wanted, wanted.with_columns(prompt_id=pl.lit("f" * 32))])
    held: dict[bytes, Any] = {}

    def read() -> list[Any]:
        found = Memo(str(folder / "data/memo")).lookup("generate", model.name, wanted)
        rows = {row["key"]: row for row in found.to_dicts()}
        held.update(rows) if not held else None
        return [row for key, row in rows.items() if held.get(key) != row]

    return flip(files, read, count, "memo")


def flip_dataset(folder: Path, count: int) -> int:
    """Flip bits of the newest version: its shards, and what says which files it has."""
    version = Path(find_newest(str(folder / "data/dataset")))
    # The card and params.yaml only repeat, for people, what the manifest holds.
    shown = ("README.md", "params.yaml")
    files = sorted(p for p in version.rglob("*") if p.is_file() and p.name not in shown)

    def read() -> Any:
        whole = is_whole(str(version))
        # One that is not whole is said to be damaged.
        return [path.read_bytes() for path in files] if whole else None

    wanted = read()
    return flip(files, lambda: read() or wanted, count, "dataset")


def main() -> None:
    """Attack, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 flips, 350 inputs, no kills")
    quick = parser.parse_args().quick
    started = time.monotonic()
    prepare_logging(verbose=False)
    figures = flip_all(*((40, 10) if quick else (1000, 500)))
    figures |= fuzz(350 if quick else 5000)
    killed = {"kills": 0} if quick else kills.measure(400, 30)
    named = ("kills", "identical", "asked_again", "seconds_lost_max")
    kept = {name: killed[name] for name in named if name in killed}
    report(benchmark="attacks", **figures, **kept, seconds=round(time.monotonic() - started, 1))
    if figures["flips_accepted"] or figures["tracebacks"] or figures["hangs"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
