"""How much annotators agree, where the dataset says who annotated what."""

from __future__ import annotations

from prefdata.audit.agreement import compare_annotators
from prefdata.checks.base import CheckedDataset, Found, Measure


def check_annotators(dataset: CheckedDataset, found: Found) -> None:
    """The mean agreement of every two annotators on what both annotated, by how much that is."""
    verdicts = dataset.annotations
    if verdicts["annotator"].n_unique() < 2:
        return
    compared = compare_annotators(verdicts)
    total = sum(each["comparisons"] for each in compared)
    if not total:
        return
    agree = sum(each["comparisons"] * each["agree"] for each in compared) / total
    known = [each for each in compared if each["kappa"] is not None]
    weight = sum(each["comparisons"] for each in known)
    kappa = sum(e["comparisons"] * e["kappa"] for e in known) / weight if weight else None
    said = "" if kappa is None else f", Cohen's kappa {kappa:.2f}"
    found.measures.append(
        Measure(
            "annotators",
            f"every two annotators agree on {agree:.1%} of {total:,} comparisons{said}",
            {"agree": agree, "kappa": kappa, "comparisons": total},
        )
    )
