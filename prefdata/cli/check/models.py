"""What models say of a dataset: CHES of its pairs, and what a judge prefers in a sample."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from prefdata.audit.agreement import measure_agreement
from prefdata.checks.base import CheckedDataset, Found, Measure
from prefdata.cli.ches.dataset import SCORES, run_ches
from prefdata.comparisons.keys import COMPARISON
from prefdata.comparisons.ties import compute_verdict
from prefdata.config.params import JudgeParams, Params
from prefdata.config.presets import relabel_params
from prefdata.errors import ConfigError
from prefdata.inference.progress import Progress
from prefdata.judges.human import HumanConfig
from prefdata.judges.registry import build_panel
from prefdata.records import Judgment
from prefdata.sources.datasets import open_splits
from prefdata.sources.detect import open_dataset_source
from prefdata.sources.rows.pairs import find_annotations
from prefdata.tables import read_table
from prefdata.tables.catalog import Catalog

LABELS = "labels"
"""The judge that says what the dataset says."""

_QUANTILES = (0.1, 0.5, 0.9)
_RISKY = 0.0
"""Above this CHES, <S_chosen, S_rejected> - |S_chosen|², the hidden states of the rejected response
have more in common with the chosen one's than those among themselves (prefdata/ches/measure.py).
It ranks pairs: at the first step of DPO on a real model 44 of 96 pairs were above, and none was
displaced (docs/explanation/ches.md)."""


def measure_displacement(
    dataset: CheckedDataset,
    found: Found,
    model: str,
    engine: str,
    memo: str,
    named: Mapping[str, Any],
    progress: Progress,
    beam_arguments: Sequence[str],
) -> None:
    """Measure CHES of the pairs, as `prefdata ches` does, and how many are above zero.

    Args:
        dataset: The dataset.
        found: Receives the figures.
        model: The model that is to be trained.
        engine: The engine that runs it.
        memo: The folder of finished calls.
        named: The settings by which the dataset is read.
        progress: Receives the progress of the flow.
        beam_arguments: Options for Beam.
    """
    for split in dataset.rows:
        with tempfile.TemporaryDirectory(prefix="prefdata-check-") as folder:
            run_ches(
                dataset.name,
                model,
                split=split,
                engine=engine,
                memo=memo,
                out=folder,
                progress=progress,
                beam_arguments=beam_arguments,
                **named,
            )
            scores = pl.read_parquet(os.path.join(folder, SCORES)).drop_nulls("ches")
        values = {
            f"{name}_{quantile:g}": scores[name].quantile(quantile)
            for name in ("ches", "ches_normalized")
            for quantile in _QUANTILES
        }
        risky = scores.filter(pl.col("ches") > _RISKY)
        share = risky.height / scores.height
        where = "" if split is None else f"{split}, "
        quantiles = ", ".join(f"{q:.0%} {values[f'ches_{q:g}']:,.4g}" for q in _QUANTILES)
        found.measures.append(
            Measure(
                "ches" if split is None else f"ches of {split}",
                f"quantiles {quantiles}; above zero {share:.1%} of {scores.height:,} pairs",
                {**values, "above_zero": share, "pairs": scores.height},
            )
        )
        found.add_rows(
            "displacement",
            "note",
            risky.sort("ches", descending=True).with_columns(
                place=pl.format("{}row {}", pl.lit(where), pl.col("row") + 1),
                detail=pl.format("CHES {}", pl.col("ches").round(1)),
            ),
            scores.height,
            f"CHES with {model} is above zero: to it the responses are alike, and training may "
            "lower the chosen one's probability",
            "Leave the highest out: prefdata ches --max-quantile, or the filter ches.",
        )


def ask_judge(
    dataset: CheckedDataset,
    found: Found,
    params: Params,
    name: str,
    count: int,
    named: Mapping[str, Any],
    progress: Progress,
    beam_arguments: Sequence[str],
) -> None:
    """Ask a judge of params.yaml about a sample of the rows, and compare it with the labels.

    The sample goes by the prompts' ids: the same dataset gives the same one. Calls are kept in the
    memo of params.yaml.

    Args:
        dataset: The dataset.
        found: Receives the figures.
        params: All of params.yaml: its models, judges and memo.
        name: The judge's name.
        count: The number of rows.
        named: The settings by which the dataset is read.
        progress: Receives the progress of the flow.
        beam_arguments: Options for Beam.

    Raises:
        ConfigError: There is no such judge.
    """
    configs = _find_judge(params, name)
    pairs = dataset.pairs.drop_nulls(["chosen", "rejected"])
    places = pairs.sort("prompt_id", "chosen_id", "rejected_id")["place"]
    chosen = places.unique(maintain_order=True).head(count)
    with tempfile.TemporaryDirectory(prefix="prefdata-check-") as folder:
        path = os.path.join(folder, "sample.jsonl")
        _write_sample(dataset, named, set(chosen), path)
        kept = {key: named[key] for key in ("kind", "columns") if named.get(key)}
        kind = kept.pop("kind", "preferences" if "columns" in kept else None)
        source = open_dataset_source(path, kind, kept)
        annotations = find_annotations(source)
        flow = relabel_params(source.config, annotations, folder, params.memo)
        judges = [HumanConfig(annotations=annotations, name=LABELS), *configs]
        flow = flow.model_copy(
            update={
                "models": params.models,
                "judge": JudgeParams(judges=judges, max_faulty_fraction=1),
            }
        )
        from prefdata.pipelines.run import run_flow

        run_flow(flow, beam_arguments, progress, export=False)
        judged = read_table(Catalog(folder).table("judgments", Judgment))
    compare_judge(dataset, found, judged, name)


def _find_judge(params: Params, name: str) -> list[Any]:
    judges = build_panel(params.judge.judges)
    found = [
        config
        for config, judge in zip(params.judge.judges, judges, strict=True)
        if judge.name == name
    ]
    if not found:
        known = ", ".join(judge.name for judge in judges)
        raise ConfigError(f"--judge {name}: params.yaml has no such judge", f"Known: {known}.")
    return found


def _write_sample(
    dataset: CheckedDataset, named: Mapping[str, Any], places: set[str], path: str
) -> None:
    splits = open_splits(dataset.name, named.get("subset"), named.get("revision"))
    with open(path, "wb") as file:
        for split in dataset.rows:
            for row in splits[split].rows():
                place = f"row {row.number}" if split is None else f"{split}, row {row.number}"
                if place in places:
                    file.write(orjson.dumps(row.value) + b"\n")


def compare_judge(dataset: CheckedDataset, found: Found, judged: pl.DataFrame, name: str) -> None:
    """How often the judge prefers what the labels prefer, and which pairs it turns round.

    Args:
        dataset: The dataset.
        found: Receives the figures.
        judged: `Judgment` rows of the judge, and of LABELS.
        name: The judge's name.
    """
    verdicts = judged.with_columns(verdict=compute_verdict(pl.col("preference")))
    columns = [*COMPARISON, "verdict"]
    labels = verdicts.filter(judge=LABELS).filter(pl.col("verdict") != 0).select(columns)
    own = verdicts.filter(judge=name).join(labels, on=COMPARISON, how="semi")
    figures = measure_agreement(labels, own.select(columns))
    unscored = own["verdict"].null_count() / own.height if own.height else 0.0
    agree, kappa = figures["agree"], figures["kappa"]
    said = "gave no verdict" if agree is None else f"agrees with the labels on {agree:.1%}"
    said += "" if kappa is None else f" (kappa {kappa:.2f})"
    found.measures.append(
        Measure(
            f"judge {name}",
            f"{said} of {figures['comparisons']:,} pairs of a sample; {unscored:.1%} unscored",
            {
                "agree": agree,
                "kappa": kappa,
                "comparisons": figures["comparisons"],
                "unscored": unscored,
            },
        )
    )
    one, other = "response_a", "response_b"
    turned = own.join(labels, on=COMPARISON, suffix="_label").filter(
        pl.col("verdict") * pl.col("verdict_label") == -1
    )
    wins = pl.col("verdict_label") == 1
    ids = turned.select(
        "prompt_id",
        chosen_id=pl.when(wins).then(one).otherwise(other),
        rejected_id=pl.when(wins).then(other).otherwise(one),
        detail=pl.format("P(label is right) {}", _say_preference(wins)),
    )
    rows = dataset.pairs.join(
        ids, on=["prompt_id", "chosen_id", "rejected_id"], maintain_order="left"
    )
    found.add_rows(
        "judge_disagrees",
        "note",
        rows,
        figures["comparisons"],
        f"the judge {name} prefers the rejected response",
        "Read them: where the judge is right, relabel; see prefdata import and prefdata audit.",
    )


def _say_preference(wins: pl.Expr) -> pl.Expr:
    preference = pl.col("preference")
    return pl.when(wins).then(preference).otherwise(1 - preference).round(2)
