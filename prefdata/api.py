"""The functions for notebooks: run a flow, read its tables, judge or measure CHES on your own
frames. Runs in one process are independent: each has its own models, parts and progress."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from prefdata.ches.measure import COLUMNS, measure_pairs
from prefdata.config import Params, load_params
from prefdata.engines.config import ModelConfig
from prefdata.engines.registry import ENGINES, Engines
from prefdata.errors import ConfigError
from prefdata.hashing.digests import row_digests
from prefdata.hashing.ids import ID_BYTES, prompt_id
from prefdata.inference import Inference
from prefdata.inference.progress import Progress
from prefdata.inference.runtime import Runtime
from prefdata.judges.base import Candidates
from prefdata.judges.registry import JUDGES
from prefdata.messages.columns import fill_messages
from prefdata.records import Prompt
from prefdata.records.base import fill_columns
from prefdata.reports.progress import open_progress
from prefdata.tables import read_table
from prefdata.tables.catalog import TABLES, Catalog

if TYPE_CHECKING:
    from prefdata.reports.funnel import Funnel

__all__ = ["judge", "load_params", "measure_ches", "read", "run", "run_stage"]

Rows = pl.DataFrame | Sequence[Mapping[str, Any]]
"""A frame, or its rows as dicts."""
Models = Mapping[str, ModelConfig | Mapping[str, Any] | str]
"""By name: settings as under `models` of params.yaml, or just a Hugging Face id or folder."""

_COMPARED = ("response_a", "response_b", "ground_truth")
_JUDGED = ("preference", "reward_a", "reward_b", "unscored", "trace")


def run(
    params: Params | str | Path,
    stages: Sequence[str] | None = None,
    *,
    progress: bool | Progress = True,
    beam_arguments: Sequence[str] = (),
    force: bool = False,
) -> Funnel:
    """Run a flow, as `prefdata run` does. Run it again to continue after an interruption.

    Args:
        params: A configuration, or the path of a params.yaml.
        stages: The stages to run, in this order; None: all.
        progress: Whether to show progress on standard error, or an object to report it to.
        beam_arguments: Options for Beam, such as "--runner=SparkRunner".
        force: With `stages`: take the tables that they read as they are.

    Returns:
        What each stage wrote, dropped and cost; `print` shows it as tables.

    Raises:
        PrefdataError: Names what is wrong and the setting to change.

    >>> funnel = prefdata.run("params.yaml", progress=False)
    >>> funnel.stages["generate"].rows_out
    80
    """
    _silence_beam()
    from prefdata.pipelines.run import run_flow
    from prefdata.pipelines.run import run_stage as run_one
    from prefdata.pipelines.stages.registry import STAGES
    from prefdata.reports.funnel import report_funnel

    loaded = params if isinstance(params, Params) else load_params(params)
    with _progress(progress) as shown:
        if stages is None:
            seconds = run_flow(loaded, beam_arguments, shown).seconds
        else:
            seconds = {}
            for name in stages:
                seconds |= run_one(name, loaded, beam_arguments, shown, force).seconds
    return report_funnel(loaded, STAGES, TABLES, seconds)


def run_stage(
    params: Params | str | Path,
    stage: str,
    *,
    progress: bool | Progress = True,
    beam_arguments: Sequence[str] = (),
) -> Funnel:
    """Run one stage, as `prefdata STAGE` does; see `run`.

    >>> prefdata.run_stage("params.yaml", "pair", progress=False).stages["pair"].rows_out
    20
    """
    return run(params, [stage], progress=progress, beam_arguments=beam_arguments)


def read(run: Params | str | Path, table: str) -> pl.DataFrame:
    """A table of a run, sorted by prompt id. It must fit in memory.

    Args:
        run: The run's configuration, or its data folder.
        table: "prompts", "responses", "judgments", "labels", "ches", "pairs", "augmented" or
            "filtered"; "dropped/STAGE" for the records that a stage dropped.

    Raises:
        ConfigError: There is no table of this name.
        TableError: The table is missing or unfinished.

    >>> prefdata.read("data", "responses").columns[:4]
    ['response_id', 'prompt_id', 'policy', 'sample_index']
    """
    catalog = Catalog(run.data if isinstance(run, Params) else str(run))
    folder, _, stage = table.partition("/")
    if folder == "dropped" and stage:
        return read_table(catalog.dropped(stage))
    if table not in TABLES:
        known = ", ".join(TABLES)
        raise ConfigError(f"{table!r} is no table", f"Name one of: {known}, dropped/STAGE.")
    return read_table(catalog.table(table, TABLES[table]))


def judge(
    rows: Rows,
    settings: Mapping[str, Any],
    models: Models | None = None,
    *,
    memo: str | None = None,
    progress: bool | Progress = True,
) -> pl.DataFrame:
    """Ask one judge about pairs of responses.

    Args:
        rows: prompt (a text, or messages of {role, content}), response_a, response_b; ground_truth
            for verifiers.
        settings: The judge's settings, as under judge.judges of params.yaml.
        models: The models that the judge asks.
        memo: The folder of finished model calls; None: keep none.
        progress: Whether to show progress on standard error, or an object to report it to.

    Returns:
        The rows, in their order, with `preference` (the probability that response_a is better),
        `reward_a`, `reward_b`, `unscored` (why there is no preference) and `trace` (what the judge
        wrote).

    Raises:
        ConfigError: The settings are wrong.
        ModelError: A model can't be loaded, or can't do what the judge asks of it.

    >>> rows = [{"prompt": "Name a river.", "response_a": "The Rhine.", "response_b": "No."}]
    >>> settings = {"kind": "pairwise", "model": "critic"}
    >>> models = {"critic": {"engine": "scripted", "model": "critic"}}
    >>> prefdata.judge(rows, settings, models, progress=False).columns[3:]
    ['preference', 'reward_a', 'reward_b', 'unscored', 'trace']
    """
    frame = _check_columns(rows, ("prompt", "response_a", "response_b"))
    part = JUDGES.parse(settings, "settings")
    part.setup()
    # Each row is a prompt of its own, so that a listwise judge sees just these two responses.
    row_id = pl.format("{}{}", pl.col("prompt_id").str.head(24), "row")
    row = pl.int_range(pl.len()).cast(pl.String).str.zfill(8)
    asked = _add_prompts(frame, _COMPARED).with_columns(row=row).with_columns(prompt_id=row_id)
    differ = asked.filter(pl.col("response_a") != pl.col("response_b"))
    a, b = (
        differ.select(
            "prompt_id",
            response_id=pl.format(f"{{}}{side}", "prompt_id"),
            text=f"response_{side}",
            finished=pl.lit(True),
        )
        for side in ("a", "b")
    )
    comparisons = differ.select(
        "prompt_id", response_a=a["response_id"], response_b=b["response_id"]
    )
    candidates = Candidates(fill_columns(differ, Prompt), pl.concat([a, b]), comparisons)
    with _open_inference(models or {}, memo, progress) as inference:
        for requirement in part.requirements():
            requirement.resolve(inference.engines)
        judgments = part.judge_all(candidates, inference)
    identical = pl.col("response_a") == pl.col("response_b")
    reason = pl.when(identical).then(pl.lit("identical_responses")).otherwise("unscored")
    judged = asked.join(
        judgments.select("prompt_id", *_JUDGED), on="prompt_id", how="left", maintain_order="left"
    ).with_columns(unscored=reason)
    return pl.concat([frame[judged["row"].cast(int)], judged.select(_JUDGED)], how="horizontal")


def measure_ches(
    rows: Rows,
    model: ModelConfig | Mapping[str, Any] | str,
    *,
    memo: str | None = None,
    progress: bool | Progress = True,
) -> pl.DataFrame:
    """CHES of preference pairs: how likely DPO is to lower the chosen response's probability.

    Unintentional Unalignment (arXiv 2410.08847), Definition 2.

    Args:
        rows: prompt (a text, or messages of {role, content}), chosen, rejected.
        model: The model that is to be trained: a Hugging Face id or folder, or settings as under
            `models` of params.yaml.
        memo: The folder of finished model calls; None: keep none.
        progress: Whether to show progress on standard error, or an object to report it to.

    Returns:
        The rows, in their order, with `ches`, `ches_normalized` (length-normalised),
        `last_hidden_inner_product` and `fault` (why a pair could not be measured).

    >>> rows = [{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}]
    >>> policy = {"engine": "scripted", "model": "policy"}
    >>> prefdata.measure_ches(rows, policy, progress=False)["fault"].to_list()
    [None]
    """
    frame = _check_columns(rows, ("prompt", "chosen", "rejected"))
    pairs, sides = _add_prompts(frame, ["chosen", "rejected"]), []
    for side in ("chosen", "rejected"):
        digests = row_digests(pairs, ["prompt_id", side]).str.head(2 * ID_BYTES)
        pairs = pairs.with_columns(digests.alias(f"{side}_id"))
        sides.append(pairs.select("prompt_id", "messages", response_id=f"{side}_id", text=side))
    responses = pl.concat(sides).unique("response_id", maintain_order=True)
    with _open_inference({"policy": model}, memo, progress) as inference:
        measured = measure_pairs("policy", responses.with_columns(finished=True), pairs, inference)
    return pl.concat([frame, measured.select(*COLUMNS, "fault")], how="horizontal")


def _check_columns(rows: Rows, columns: Sequence[str]) -> pl.DataFrame:
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        found = ", ".join(frame.columns) or "none"
        raise ConfigError(
            f"the rows have no column {', '.join(missing)}; they have: {found}",
            f"Rename yours to {', '.join(columns)}.",
        )
    return frame


def _add_prompts(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """messages, prompt_id, and those of `columns` that the frame has."""
    if frame.schema["prompt"] == pl.String:
        messages = pl.concat_list(pl.struct(role=pl.lit("user"), content="prompt"))
    else:
        messages = pl.col("prompt")
    added = frame.select(*(c for c in columns if c in frame.columns), messages=messages)
    ids = [prompt_id((turn["role"], turn["content"]) for turn in m) for m in added["messages"]]
    added = added.with_columns(fill_messages(added["messages"]))
    return added.with_columns(prompt_id=pl.Series(ids, dtype=pl.String))


@contextmanager
def _open_inference(
    models: Models, memo: str | None, progress: bool | Progress
) -> Iterator[Inference]:
    """An inference over these models, which are closed at the end."""
    named = {n: {"model": m} if isinstance(m, str) else m for n, m in models.items()}
    settings = {
        name: model if isinstance(model, ModelConfig) else ENGINES.parse(model, f"models.{name}")
        for name, model in named.items()
    }
    with _progress(progress) as shown:
        runtime = Runtime(shown)
        engines = Engines(settings, runtime.stopping)
        try:
            yield Inference(engines, runtime.open_memo(memo), runtime)
        finally:
            engines.close()


@contextmanager
def _progress(wanted: bool | Progress) -> Iterator[Progress]:
    if isinstance(wanted, Progress):
        yield wanted
        return
    with open_progress(quiet=not wanted) as progress:
        yield progress


def _silence_beam() -> None:
    """Load Beam without its warnings, which are of no concern to our runs."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        importlib.import_module("prefdata.pipelines.beam.steps")
    finally:
        logging.disable(before)
