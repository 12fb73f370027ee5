"""What must hold before any call is made again."""

from __future__ import annotations

from collections.abc import Mapping

from prefdata.errors import ConfigError, TableError
from prefdata.inference.replay.asking import ReplayInference
from prefdata.pipelines.stages.base import Context, Stage
from prefdata.tables import read_info
from prefdata.tables.chain import Chain, find_unfit
from prefdata.tables.read import is_finished


def check_remembered(memo: str, stage: Stage, inference: ReplayInference) -> None:
    """A stage that can't do without any call has failed for want of some: raise ConfigError, unless
    the memo has none at all, which is a memo of other runs."""
    if inference.list_seen().height:
        raise ConfigError(
            f"{memo}: it has some of the calls of {stage.name}, which needs them all",
            f"Make the others with this memo: prefdata {stage.name}",
        ) from None


def is_done(context: Context, stage: Stage) -> bool:
    """Whether the stage's table, if it writes one, is finished."""
    return stage.table is None or is_finished(context.table(stage.table))


def check_tables(
    context: Context, stages: list[Stage], models: Mapping[str, str]
) -> dict[str, str]:
    """The content digests of the stages' tables. Raises TableError where one is not what today's
    params.yaml and models would make."""
    known: Mapping[str, str | None] = dict(models)
    tables = {each.name: each.table for each in stages if each.table and is_done(context, each)}
    infos = {name: read_info(context.table(table)) for name, table in tables.items()}
    today: Chain = {each.name: each.describe(context.params, known) for each in stages}
    for stage, stale in find_unfit(infos, tables, today).items():
        link, why = next(iter(stale.items()))
        raise TableError(
            f"the table of {stage} is not what would be made today ({link}: {why}), so its calls "
            "are others",
            "Restore params.yaml and the models that it was made with, or make it again: "
            "prefdata run",
        )
    return {tables[name]: info.content for name, info in infos.items()}
