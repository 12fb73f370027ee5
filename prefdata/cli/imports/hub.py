"""`prefdata import hub:OWNER/NAME`: the record of a published run, to pair anew."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import yaml
from pydantic import Field

from prefdata.cli.command import Given
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.reports.base import Block, Grid, Report
from prefdata.reports.progress import open_progress
from prefdata.text.controls import escape_controls

START = "consensus"
"""The first stage that is run again: those before it ask models."""


class RecordReport(Report):
    """A record that was brought from the hub."""

    repo: str
    revision: str = Field(description="The commit.")
    version: str = Field(description="The name of the version that was published.")
    data: str = Field(description="The data folder.")
    tables: dict[str, int] = Field(description="The tables, with their rows.")
    params: str | None = Field(description="The params file that was written.")
    asks: dict[str, list[str]] = Field(
        description="Models that a stage from the consensus on asks, where a changed setting wants "
        "what is in no table; by stage."
    )

    def blocks(self) -> list[Block]:
        """The tables, and what to do with them."""
        rows = [(name, f"{count:,}") for name, count in self.tables.items()]
        said = [f"{self.repo}: version {self.version}, commit {self.revision}"]
        for stage, models in self.asks.items():
            said.append(f"{stage} may ask {', '.join(models)}: no table holds what it needs")
        file = self.params or "FILE"
        if self.params is None:
            said.append("--params FILE writes the settings that it was made with")
        said.append(
            f"next: prefdata run --params {file} --from {START}, with another consensus, strategy "
            "or filter"
        )
        return [Grid(("table", "rows"), rows, {1}), "\n".join(said)]


def import_record(
    given: Given, name: str, out: str | None, starter: str | None, revision: str | None
) -> None:
    """Bring the record of `name`, OWNER/NAME, into the data folder `out`."""
    from prefdata.dataset.hub.client import open_hub
    from prefdata.dataset.hub.fetch import fetch_record
    from prefdata.files.lock import hold_folder

    if out is None:
        raise ConfigError(
            f"hub:{name}: no folder for its tables", "Name one: --out data, and --params FILE."
        )
    if revision and "@" in name:
        raise ConfigError("two revisions are named", "Leave out @ or --revision.")
    wanted = f"{name}@{revision}" if revision else name
    with open_progress(given.quiet) as progress:
        storage.make_folder(out)
        with hold_folder(out, "prefdata import", lambda: None):
            fetched = fetch_record(wanted, out, open_hub(), progress.note)
    settings = {"data": out, "memo": storage.join(out, "memo"), **fetched.settings}
    if starter:
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        source = escape_controls(f"hub:{fetched.repo}@{fetched.revision}")
        head = f"# The settings of {source}. Begin at the consensus: no model is asked again.\n"
        storage.write_bytes(starter, (head + text).encode(), setting="--params")
    given.print_report(
        RecordReport(
            repo=fetched.repo,
            revision=fetched.revision,
            version=fetched.publication.version,
            data=out,
            tables=fetched.publication.tables,
            params=starter,
            asks=_list_asking(settings),
        )
    )


def _list_asking(settings: dict[str, Any]) -> dict[str, list[str]]:
    """The models that each stage from START on asks; those of settings that are read here."""
    from prefdata.config.params import Params
    from prefdata.parts.validation import validate
    from prefdata.pipelines.stages.registry import STAGES

    asking: dict[str, list[str]] = {}
    names = [stage.name for stage in STAGES]
    # A plugin that is not installed is said by the run.
    with suppress(ConfigError):
        params = validate(Params, settings, where="params.yaml")
        for stage in STAGES[names.index(START) :]:
            # Its table is in the record.
            if stage.name != "ches" and stage.is_wanted(params):
                asking[stage.name] = stage.list_models(params)
    return {stage: models for stage, models in asking.items() if models}
