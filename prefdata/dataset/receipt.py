"""The receipt of a replay: how far remembered model calls come out the same when asked again."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from prefdata.files import storage
from prefdata.files.json_files import read_model
from prefdata.inference.replay.drift import Drift

NAME = "replay.json"


class Entry(BaseModel):
    """A section of the receipt."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CallReceipt(Entry):
    """The calls of one operation, model and stage."""

    stage: str
    call: str = Field(description='Such as "generate policy".')
    asked: int = Field(description="Requests that were asked again.")
    missing: int = Field(description="Requests of these prompts that the memo does not have.")
    failed: dict[str, int] = Field(description="Requests that failed now, by code.")
    drift: Drift


class JudgeReceipt(Entry):
    """The judgments of one judge, of prompts all of whose calls were asked again."""

    judgments: int
    flips: int = Field(description="Those that prefer another response, or none, now.")
    lost: int = Field(description="Those that are Unscored now and were not, or the reverse.")
    max_delta: float = Field(description="The largest difference of P(a ≻ b).")


class LabelsReceipt(Entry):
    """The labels of prompts all of whose judges were asked again, by these prompts alone."""

    comparisons: int
    flips: int = Field(description="Labels for the other response.")
    lost: int = Field(description="Comparisons that have a label only then, or only now.")


class ModelReceipt(Entry):
    """What answered for a model."""

    fingerprint: str
    then: list[dict[str, str]] = Field(
        description="What has answered for it since this is kept: packages, device, number type."
    )
    now: dict[str, str]


class Receipt(Entry):
    """A replay. It holds no time, so equal replays of equal runs have equal receipts."""

    sample: int = Field(description="The requests that were wanted of each call.")
    calls: list[CallReceipt]
    judges: dict[str, JudgeReceipt]
    labels: LabelsReceipt | None = Field(description="Null: no prompt was judged anew as a whole.")
    models: dict[str, ModelReceipt]
    tables: dict[str, str] = Field(
        description="The content digests of the tables whose calls were asked again."
    )

    @property
    def identical(self) -> tuple[int, int]:
        """(results that are the same to the last bit, results compared)."""
        drifts = [each.drift for each in self.calls]
        return sum(each.identical for each in drifts), sum(each.compared for each in drifts)

    def describe(self) -> str:
        """In a line."""
        same, compared = self.identical
        flips = sum(each.flips for each in self.judges.values())
        judged = sum(each.judgments for each in self.judges.values())
        return (
            f"replayed: {same:,} of {compared:,} model calls came out the same to the last bit; "
            f"{flips:,} of {judged:,} judgments turned"
        )

    def fits(self, tables: Mapping[str, str], models: Mapping[str, str]) -> bool:
        """Whether it is of these tables, by content digest, and models, by fingerprint."""
        return all(tables.get(name) == content for name, content in self.tables.items()) and all(
            models.get(name, used.fingerprint) == used.fingerprint
            for name, used in self.models.items()
        )


def locate_receipt(data: str) -> str:
    """The path of the receipt in a run's data folder."""
    return storage.join(data, "receipts", NAME)


def read_receipt(data: str) -> Receipt | None:
    """The receipt in a run's data folder; None where there is none.

    Raises:
        TableError: The file is none.
    """
    return read_model(
        Receipt, locate_receipt(data), "prefdata replay", "Remove it, or run prefdata replay again."
    )
