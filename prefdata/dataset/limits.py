"""What a dataset's users should know before they trust it, as its manifest tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefdata.dataset.manifest import Manifest

_SEARCHES = {
    "personal_data": "personal data",
    "contamination": "contamination with benchmarks",
    "near_duplicates": "near-duplicates",
    "refusals": "refusals",
    "offensive": "offensive texts",
    "language": "the language of the texts",
}
"""By the kind of a filter, what is looked for only where there is one."""

_FLIPS = 0.2
_LONGER = 0.6
"""From these shares on, a judge's bias is named."""


def list_limits(manifest: Manifest) -> Iterator[str]:
    """Sentences of plain text, the weightiest first."""
    settings: Any = manifest.settings
    yield from _describe_judges(manifest)
    for name, figures in manifest.labels.audit.items():
        yield from _describe_biases(name, figures)
    for stage in manifest.stages:
        if stage.stage == "consensus" and stage.rows_in > stage.rows_out:
            share = 1 - stage.rows_out / stage.rows_in
            yield (
                f"On {share:.0%} of the comparisons the judges came to no consensus: these are not "
                "in the dataset, so it holds the clearer cases."
            )
    if settings:
        kinds = {each["kind"] for each in settings.get("filter", {}).get("filters", [])}
        missing = [what for kind, what in _SEARCHES.items() if kind not in kinds]
        if missing:
            yield f"No filter looked for {', '.join(missing)}."
    if not manifest.languages:
        yield "Its languages were not stated."


def _describe_judges(manifest: Manifest) -> Iterator[str]:
    judges = manifest.labels.judges
    settings: Any = manifest.settings
    kinds = [judge["kind"] for judge in settings.get("judge", {}).get("judges", [])]
    if "human" not in kinds:
        yield "No person labelled it: its labels are those of models and programs."
    if len(judges) == 1:
        yield f"One judge alone labelled it ({judges[0]}): no second one contradicts its mistakes."


def _describe_biases(name: str, figures: dict[str, int | float | None]) -> Iterator[str]:
    flips, longer = figures.get("flips"), figures.get("prefers_longer")
    if flips is not None and flips > _FLIPS:
        yield f"Judge {name}: {flips:.0%} of its verdicts turn with the order of the two responses."
    if longer is not None and longer > _LONGER:
        matched = figures.get("prefers_longer_matched")
        closer = "" if matched is None else f", {matched:.0%} of the time where lengths are close"
        yield f"Judge {name} prefers the longer response {longer:.0%} of the time{closer}."
