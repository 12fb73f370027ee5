"""Where each stage's table lies under the data folder, and which order the stages come in."""

from __future__ import annotations

from prefdata.config.params import Params
from prefdata.files.storage import join
from prefdata.records import (
    AugmentedPair,
    Demonstration,
    Dropped,
    FilteredPair,
    Judgment,
    Pair,
    Prompt,
    Record,
    Response,
    Score,
    TopUp,
)
from prefdata.tables import Table

RECORD_OF: dict[str, type[Record]] = {
    "prompts": Prompt,
    "responses": Response,
    "judgments": Judgment,
    "scores": Score,
    "pairs": Pair,
    "augmented": AugmentedPair,
    "filtered": FilteredPair,
}

OUTPUT_OF = {
    "ingest": "prompts",
    "generate": "responses",
    "judge": "judgments",
    "score": "scores",
    "pair": "pairs",
    "augment": "augmented",
    "filter": "filtered",
    "export": "dataset",
}
"""The stages in their order, each with the folder it writes."""

TOP_UP = "top-up"
"""Plans more samples for prompts that fell short; between filter and export, where wanted."""


def outputs(params: Params) -> dict[str, str]:
    """OUTPUT_OF of the stages that these parameters run: `score` needs its section."""
    return {s: n for s, n in OUTPUT_OF.items() if s != "score" or params.score}


def table(params: Params, name: str) -> Table:
    """The table called `name`."""
    return Table(join(params.data, name), RECORD_OF[name])


def plan(params: Params) -> Table:
    """How many samples each prompt gets; the table that top-up writes."""
    return Table(join(params.data, "top_up"), TopUp)


def demonstrations(params: Params) -> Table:
    """The comparisons that judges are shown, in one bucket; written between two cycles of judge."""
    return Table(join(params.data, "demonstrations"), Demonstration)


def counting(params: Params) -> dict[str, Table]:
    """By stage, the table whose info says what the stage counted."""
    found = {}
    for stage, name in outputs(params).items():
        if stage == "export":
            if params.generate.wants_pairs():
                found[TOP_UP] = plan(params)
            found[stage] = dropped(params, stage)
        else:
            found[stage] = table(params, name)
    return found


def dropped(params: Params, stage: str) -> Table:
    """The dropped of a stage."""
    return Table(join(params.data, "dropped", stage), Dropped)


def dataset_folder(params: Params) -> str:
    """The published dataset's folder."""
    return join(params.data, OUTPUT_OF["export"])


def stats_path(params: Params, stage: str) -> str:
    """What the last run of a stage counted; rates vary, so it lies outside the tables."""
    return join(params.data, "stats", f"{stage}.json")
