"""What is kept of a round beside its tables: what it is made of, and what it has come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from prefdata.files import storage
from prefdata.files.json_files import read_model, write_model
from prefdata.reports.loop.rounds import RoundFigures
from prefdata.tables.chain import Chain, Made, find_stale

FILE = "round.json"


class RoundRecord(BaseModel):
    """A round that has begun."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    made: dict[str, Made] = Field(
        description="How each stage, the training and the evaluation are done, by name."
    )
    figures: RoundFigures

    def note(self, seconds: Mapping[str, float], **figures: Any) -> RoundRecord:
        """The same with more figures."""
        spent = {**self.figures.seconds, **seconds}
        more = self.figures.model_copy(update={**figures, "seconds": spent})
        return self.model_copy(update={"figures": more})


def read_record(folder: str) -> RoundRecord | None:
    """The record in a round's folder; None where it has not begun. Raises TableError where it can't
    be read."""
    remedy = f"Remove {folder} and those of later rounds, and run the loop again."
    return read_model(RoundRecord, storage.join(folder, FILE), "prefdata loop", remedy)


def write_record(folder: str, record: RoundRecord) -> None:
    """Write the record into a round's folder."""
    write_model(storage.join(folder, FILE), record)


def explain_changes(made: Chain, today: Chain) -> str:
    """What a round is made of today and was not; empty where all is the same."""
    stale = find_stale(made, today, {})
    stale |= {name: "params.yaml did not have it" for name in today if name not in made}
    return "; ".join(f"{name}: {why}" for name, why in stale.items())
