"""Asking models about given responses: which of their tokens count, and in which context."""

from __future__ import annotations

import polars as pl

from prefdata.engines.base import CompletionSettings, Operation, Part
from prefdata.inference.loop import Inference
from prefdata.messages.columns import select_completions
from prefdata.messages.completion import Completion


def ask_completions(
    inference: Inference,
    model: str,
    operation: Operation,
    settings: CompletionSettings,
    responses: pl.DataFrame,
    completion: Completion = "all",
) -> pl.DataFrame:
    """Ask a model about given responses.

    Args:
        inference: Where models are asked.
        model: The model's name in params.yaml.
        operation: loglikelihood or hidden_sums.
        settings: Its settings; `part` follows from `completion`.
        responses: What `select_completions` takes.
        completion: What of the responses counts.

    Returns:
        One result per response, in their order.
    """
    rows = select_completions(responses)
    if "thoughts" not in rows.columns or rows["thoughts"].null_count() == rows.height:
        whole = settings if completion != "thoughts" else _take_part(settings, "thoughts")
        return inference.ask(model, operation, whole, rows)
    if completion == "without_thoughts":
        rows = rows.with_columns(thoughts=pl.lit(None, dtype=pl.String))
    if completion == "all" or completion == "without_thoughts":
        return inference.ask(model, operation, settings, rows)
    part = _take_part(settings, completion)
    if completion == "thoughts":
        return inference.ask(model, operation, part, rows)
    # The whole of a response without thoughts is asked for once, whatever the setting.
    numbered = rows.with_row_index("row")
    answered = []
    for asked, chosen in (
        (settings, pl.col("thoughts").is_null()),
        (part, pl.col("thoughts").is_not_null()),
    ):
        some = numbered.filter(chosen)
        if some.height:
            found = inference.ask(model, operation, asked, some.drop("row"))
            answered.append(found.with_columns(some["row"]))
    return pl.concat(answered).sort("row").drop("row")


def _take_part(settings: CompletionSettings, part: Part) -> CompletionSettings:
    return settings.model_copy(update={"part": part})
