"""Where each stage's table lies under the data folder, and which order the stages come in."""

from __future__ import annotations

from prefdata.config.params import Params
from prefdata.records import (
    AugmentedPair,
    FilteredPair,
    Judgment,
    Pair,
    Prompt,
    Record,
    Rejection,
    Response,
)
from prefdata.tables import Table
from prefdata.tables.storage import join

RECORD_OF: dict[str, type[Record]] = {
    "prompts": Prompt,
    "responses": Response,
    "judgments": Judgment,
    "pairs": Pair,
    "augmented": AugmentedPair,
    "filtered": FilteredPair,
}

OUTPUT_OF = {
    "ingest": "prompts",
    "generate": "responses",
    "judge": "judgments",
    "pair": "pairs",
    "augment": "augmented",
    "filter": "filtered",
    "export": "dataset",
}
"""The stages in their order, each with the folder it writes."""


def table(params: Params, name: str) -> Table:
    """The table called `name`."""
    return Table(join(params.data, name), RECORD_OF[name])


def rejections(params: Params, stage: str) -> Table:
    """The rejections of a stage."""
    return Table(join(params.data, "rejections", stage), Rejection)


def dataset_folder(params: Params) -> str:
    """The published dataset's folder."""
    return join(params.data, OUTPUT_OF["export"])


def stats_path(params: Params, stage: str) -> str:
    """What the last run of a stage counted; rates vary, so it lies outside the tables."""
    return join(params.data, "stats", f"{stage}.json")
