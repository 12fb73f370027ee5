"""The report of `prefdata replay`: how far remembered model calls come out the same."""

from __future__ import annotations

from collections.abc import Iterator

from prefdata.dataset.receipt import CallReceipt, Receipt, locate_receipt
from prefdata.files.json_files import write_model
from prefdata.reports.base import Block, Grid, Report

_CALLS = (
    "stage", "model call", "asked", "the same", "texts", "first difference", "shared",
    "mean |d|", "max |d|", "flips", "failed",
)  # fmt: skip
_LEGEND = {
    "asked": "requests that were asked again",
    "the same": "results that are the same to the last bit",
    "texts": "texts that are the same",
    "first difference": "of those that differ, the median place of the first difference",
    "shared": "the mean share of a text before the first difference",
    "|d|": "differences of log-probabilities in nats, of rewards, or of a vector's numbers",
    "flips": "requests whose likeliest option is another",
}


class Replayed(Report):
    """A replay, and where its receipt lies."""

    path: str
    receipt: Receipt

    def blocks(self) -> list[Block]:
        """The calls, the judges, the versions, and a summary."""
        receipt = self.receipt
        rows = [tuple(_list_cells(each)) for each in receipt.calls]
        blocks: list[Block] = [Grid(_CALLS, rows, range(2, len(_CALLS)), _LEGEND)]
        if receipt.judges:
            head = ("judge", "judgments", "turned", "lost or found", "max |d P|")
            judged = [
                (name, f"{j.judgments:,}", f"{j.flips:,}", f"{j.lost:,}", _format(j.max_delta))
                for name, j in receipt.judges.items()
            ]
            blocks.append(Grid(head, judged, range(1, 5)))
        if receipt.labels is not None:
            each = receipt.labels
            blocks.append(
                f"labels: {each.flips:,} of {each.comparisons:,} turned, {each.lost:,} lost or "
                "found"
            )
        blocks.append("\n".join(_list_versions(receipt)))
        return [*blocks, f"{receipt.describe()}\nreceipt: {self.path}"]


def write_receipt(data: str, receipt: Receipt) -> Replayed:
    """Write the receipt into a run's data folder, where the next export finds it."""
    path = locate_receipt(data)
    write_model(path, receipt)
    return Replayed(path=path, receipt=receipt)


def _list_cells(each: CallReceipt) -> Iterator[str]:
    drift = each.drift
    mean, largest = drift.mean_delta, drift.max_delta
    if drift.vector_delta is not None:
        largest = drift.vector_delta
    yield from (each.stage, each.call, f"{each.asked:,}", f"{drift.identical:,}")
    yield "" if drift.texts is None else f"{drift.texts:,}"
    first = drift.first_difference
    yield "" if first is None else f"{first:,.0f} {drift.unit}"
    yield "" if drift.shared_prefix is None else f"{drift.shared_prefix:.1%}"
    yield from (_format(mean), _format(largest))
    yield "" if drift.flips is None else f"{drift.flips:,}"
    yield ", ".join(f"{code} {count:,}" for code, count in each.failed.items())


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _list_versions(receipt: Receipt) -> Iterator[str]:
    """What answers now, and what answered then where that differs or is not known."""
    for name, model in receipt.models.items():
        yield f"{name} now: {_join(model.now)}"
        others = [then for then in model.then if then != model.now]
        for then in others:
            changed = {key: said for key, said in then.items() if model.now.get(key) != said}
            yield f"{name} then, among others: {_join(changed)}"
        if not model.then:
            yield f"{name} then: not known; it was not kept when these calls were made"


def _join(versions: dict[str, str]) -> str:
    return ", ".join(f"{key} {said}" for key, said in sorted(versions.items()))
