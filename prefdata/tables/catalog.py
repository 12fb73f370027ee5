"""Where everything of a run lies under its data folder."""

from __future__ import annotations

from dataclasses import dataclass

from prefdata.files.storage import join
from prefdata.records import Demonstration, Dropped, Record, TopUp
from prefdata.tables.layout import Table


@dataclass(frozen=True)
class Catalog:
    """The folders of a run; `data` is params.yaml's data folder, a path or URL."""

    data: str

    def table(self, name: str, record: type[Record]) -> Table:
        """The table called `name`, of rows of `record`."""
        return Table(join(self.data, name), record)

    def dropped(self, stage: str) -> Table:
        """What fell out of a stage."""
        return Table(join(self.data, "dropped", stage), Dropped)

    @property
    def top_up(self) -> Table:
        """How many samples each prompt gets; written by top-up."""
        return Table(join(self.data, "top_up"), TopUp)

    @property
    def demonstrations(self) -> Table:
        """The comparisons that judges are shown, in one bucket; written by judge."""
        return Table(join(self.data, "demonstrations"), Demonstration)

    @property
    def dataset(self) -> str:
        """The folder of the published dataset."""
        return join(self.data, "dataset")

    def stats_path(self, stage: str) -> str:
        """What the last run of a stage counted. Rates vary, so it lies outside the tables."""
        return join(self.data, "stats", f"{stage}.json")
