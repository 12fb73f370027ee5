"""All checks of a dataset, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from prefdata.checks.annotators import check_annotators
from prefdata.checks.base import SEVERITIES, CheckedDataset, Found
from prefdata.checks.consumers import Outlook, check_consumers, check_names, foresee_all
from prefdata.checks.lengths import check_lengths
from prefdata.checks.pairs import (
    check_contradictions,
    check_duplicates,
    check_labels,
    check_scores,
)
from prefdata.checks.prompts import check_prompts
from prefdata.checks.reasoning import check_reasoning
from prefdata.checks.rows import check_form, check_margins, check_rows, check_types
from prefdata.checks.texts import (
    check_contamination,
    check_ends,
    check_languages,
    check_refusals,
    check_unseen,
)

Check = Callable[[CheckedDataset, Found], None]


def check_dataset(
    dataset: CheckedDataset,
    *,
    consumers: Collection[str] = (),
    benchmarks: Sequence[str] = (),
    min_similarity: float = 0.8,
) -> tuple[list[Outlook], Found]:
    """Look at a dataset in every way that needs no model.

    Args:
        dataset: The dataset.
        consumers: The kinds of consumers that it is meant for: what they can't do with it is an
            error.
        benchmarks: Files with whose texts it is compared.
        min_similarity: The least similarity of near-duplicate prompts.

    Returns:
        What each consumer would do with it, and what was found, the gravest first.

    Raises:
        ConfigError: A consumer is unknown, or a file can't be read.
    """
    check_names(consumers)
    found = Found()
    outlooks = foresee_all(dataset)
    checks: list[Check] = [check_form, check_rows, check_types, check_margins]
    if dataset.pairs.height:
        checks += [
            check_duplicates,
            check_contradictions,
            check_labels,
            check_scores,
            partial(check_prompts, min_similarity=min_similarity),
            check_lengths,
            check_reasoning,
            check_refusals,
            check_ends,
            check_unseen,
            partial(check_contamination, files=benchmarks),
            check_languages,
            check_annotators,
        ]
    for check in checks:
        check(dataset, found)
    check_consumers(outlooks, found, consumers)
    found.findings.sort(key=lambda each: SEVERITIES.index(each.severity))
    return outlooks, found
