"""What the texts say: refusals, ends that are missing, characters that nobody sees, benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from prefdata.checks.base import CheckedDataset, Found, Measure
from prefdata.errors import ConfigError
from prefdata.filters.base import Texts
from prefdata.filters.registry import FILTERS
from prefdata.filters.texts.base import TextFilter
from prefdata.text.controls import UNSEEN

SIDES = ("chosen", "rejected")
OFTEN = 0.05
"""By how much more often responses of one side may break off before it is a warning."""
LEAST_CHARACTERS = 200
"""A shorter response may end anywhere."""
_BROKEN_OFF = r"[\p{Ll}\p{Lo},;]\s*$"
_LANGUAGE_SAMPLE = 1000
_NO_LANGUAGE = "zxx"


def check_refusals(dataset: CheckedDataset, found: Found) -> None:
    """Responses that decline, by the words that the filter refusals knows."""
    flaws = _find_flaws(dataset, {"kind": "refusals"}, SIDES)
    shares: dict[str, float | None] = {}
    for side, rows in flaws.items():
        there = dataset.pairs[side].count()
        shares[side] = rows.height / there if there else None
        found.add_rows(
            f"refusal_{side}",
            "note",
            rows,
            there,
            f"the {side} response refuses",
            "Right where refusing is what is taught; else filter refusals.",
        )
    if any(shares.values()):
        said = ", ".join(f"{share or 0:.1%} of {name}" for name, share in shares.items())
        found.measures.append(Measure("refusals", f"{said} responses", shares))


def check_ends(dataset: CheckedDataset, found: Found) -> None:
    """Long responses that break off within a sentence."""
    pairs = dataset.pairs
    broken = {side: pairs.filter(_breaks_off(pl.col(side))) for side in SIDES}
    of = {side: pairs[side].count() for side in SIDES}
    shares = {side: broken[side].height / of[side] if of[side] else 0.0 for side in SIDES}
    unequal = abs(shares["chosen"] - shares["rejected"]) > OFTEN
    for side in SIDES:
        found.add_rows(
            f"truncated_{side}",
            "warning" if unequal and shares[side] == max(shares.values()) else "note",
            broken[side].with_columns(detail=pl.format("…{}", pl.col(side).str.slice(-40))),
            of[side],
            f"the {side} response breaks off within a sentence",
            "Draw it again with more tokens, or leave it out: a model learns to stop there, or "
            "that ends alone decide.",
        )


def _breaks_off(text: pl.Expr) -> pl.Expr:
    return (text.str.len_chars() >= LEAST_CHARACTERS) & text.str.contains(_BROKEN_OFF)


def check_unseen(dataset: CheckedDataset, found: Found) -> None:
    """Controls, invisible letters and marks that turn the direction of writing."""
    pairs = dataset.pairs
    columns = ("prompt", *SIDES)
    hits = [
        pl.when(pl.col(name).str.contains(UNSEEN)).then(
            pl.format("{}: {}", pl.lit(name), pl.col(name).str.extract(f"({UNSEEN})"))
        )
        for name in columns
    ]
    rows = pairs.with_columns(detail=pl.coalesce(hits)).drop_nulls("detail")
    found.add_rows(
        "unseen_characters",
        "warning",
        rows,
        pairs.height,
        "a text holds controls or invisible characters",
        "Remove them, unless they are what is taught: they can hide instructions, and "
        "tokenizers read them.",
    )


def check_contamination(dataset: CheckedDataset, found: Found, files: Sequence[str]) -> None:
    """Texts that share a run of words with one of the files; see the filter contamination."""
    if not files:
        return
    columns = ("prompt", *SIDES)
    settings = {"kind": "contamination", "files": list(files)}
    for name, rows in _find_flaws(dataset, settings, columns).items():
        found.add_rows(
            f"contaminated_{name}",
            "warning",
            rows,
            dataset.pairs[name].count(),
            f"the {'prompt' if name == 'prompt' else f'{name} response'} shares a run of words "
            "with a benchmark",
            "Read the spans: quotations and common phrases match too. Leave out what is of the "
            "benchmark: filter contamination.",
        )


def check_languages(dataset: CheckedDataset, found: Found) -> None:
    """Responses in another language than their prompt, in a sample; by the filter language."""
    sample = dataset.pairs.filter(pl.col("prompt_id").rank("dense") <= _LANGUAGE_SAMPLE)
    try:
        flaws = _find_flaws(dataset, {"kind": "language"}, SIDES, sample)
    except ConfigError as error:
        found.unknown.append(f"languages: {error.problem}. {error.remedy}")
        return
    for side, rows in flaws.items():
        found.add_rows(
            f"other_language_{side}",
            "warning",
            # Code and numbers are of no language ("zxx").
            rows.filter(~pl.col("detail").str.starts_with(_NO_LANGUAGE)),
            sample[side].count(),
            f"the {side} response is in another language than its prompt (of a sample)",
            "Filter language; or ask for the language in the prompt, where it is wanted.",
        )


def _find_flaws(
    dataset: CheckedDataset,
    settings: dict[str, Any],
    columns: Sequence[str],
    pairs: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """For each column the pairs whose text has a flaw by a filter of texts; `detail` names it."""
    part = FILTERS.parse(settings, "prefdata check")
    assert isinstance(part, TextFilter)
    part.setup()
    pairs = dataset.pairs if pairs is None else pairs
    turn = pl.struct(pl.lit("user").alias("role"), pl.col("prompt").alias("content"))
    prompts = pairs.unique("prompt_id", keep="first", maintain_order=True)
    texts = Texts(prompts.select("prompt_id", messages=pl.concat_list(turn)), prompts.clear())
    flawed = {}
    for name in columns:
        rows = pairs.drop_nulls(name)
        # A text that stands in many rows is looked at once.
        once = rows.select("prompt_id", text=name).unique(maintain_order=True)
        looked = once.with_columns(
            detail=part.describe_flaws(once, texts).cast(pl.String)
        ).drop_nulls("detail")
        flawed[name] = rows.join(
            looked,
            left_on=["prompt_id", name],
            right_on=["prompt_id", "text"],
            how="inner",
            maintain_order="left",
        )
    return flawed
