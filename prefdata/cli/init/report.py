"""What `prefdata init` found in a file of prompts, and the params file that it wrote."""

from __future__ import annotations

import shlex

from prefdata.reports.base import Block, Report, join_counts
from prefdata.sources.detect import DetectedSource


class Started(Report):
    """A first params file."""

    params: str
    prompts: str
    kind: str
    annotations: list[str]
    read: int
    dropped: dict[str, int]
    next: list[str]

    def blocks(self) -> list[Block]:
        """The file, and the commands to go on with."""
        return ["\n".join([f"{self.params} is written; next:", *(f"  {x}" for x in self.next)])]


def report_started(path: str, prompts: str, found: DetectedSource) -> Started:
    """Report on the file that was written to `path`."""
    named = "" if path == "params.yaml" else f" --params {shlex.quote(path)}"
    return Started(
        params=path,
        prompts=prompts,
        kind=found.kind,
        annotations=list(found.annotations),
        read=found.prompts,
        dropped=found.dropped,
        next=[f"prefdata check-params{named}", f"prefdata run{named}"],
    )


def describe_found(path: str, found: DetectedSource) -> str:
    """What was found in the first rows, as a few lines."""
    named = [f"{name}: {found.settings[name]}" for name in found.settings if name.endswith("field")]
    looked = found.prompts + sum(found.dropped.values())
    lines = [
        f"{path}: read {found.prompts} of {looked} records looked at, by the source "
        + ", ".join([found.kind, *named])
    ]
    if found.dropped:
        lines.append(f"dropped: {join_counts(found.dropped)}")
    if found.annotations:
        kinds = " and ".join(found.annotations)
        lines.append(f"They have responses and labels ({kinds}), so no response is drawn.")
    elif found.has_ground_truth:
        lines.append("They have ground truths, by which verifiers judge: see prefdata list judges.")
    return "\n".join(lines)
