"""Pages of versions alone: one, two compared, and versions whose exports have no pairs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from dataset.published import make_pairs, publish

from prefdata.errors import ConfigError
from prefdata.reports.page.compare import compose_comparison
from prefdata.reports.page.content import Chart, Page
from prefdata.reports.page.version import compose_version
from prefdata.reports.page.written import report_page


def list_charts(page: Page) -> set[str]:
    return {part.title for each in page.sections for part in each.parts if isinstance(part, Chart)}


def test_two_versions_are_compared(tmp_path: Path) -> None:
    # `publish` puts every second pair into the second bucket, where its prompt is to belong.
    ids = [f"{'0f'[n % 2]}{n:031x}" for n in range(20)]
    pairs = make_pairs(20).with_columns(prompt_id=pl.Series(ids))
    one = publish(tmp_path / "a", pairs.head(18))
    changed = pairs.tail(18).with_columns(
        soft_label=pl.when(pl.int_range(pl.len()) == 3).then(0.9999).otherwise("soft_label")
    )
    other = publish(tmp_path / "b", changed)
    page = compose_comparison(str(one), str(other))
    facts = dict(page.facts)
    assert (facts["pairs in A"], facts["added"], facts["removed"]) == ("18", "2", "2")
    assert {"Labels", "Length bias", "What each stage kept: A"} <= list_charts(page)
    assert page.rows
    told = {(row["reason"], row["id"]): row for row in page.rows.rows}
    assert [reason for reason, _ in told].count("added") == 2
    assert {name for reason, name in told if reason == "removed"} == {f"{n:032x}" for n in (0, 1)}
    (label,) = (row["detail"] for (reason, _), row in told.items() if reason == "label")
    assert label.startswith("soft_label: ")
    assert label.endswith("0.9999 in B")
    same = compose_comparison(str(one), str(one))
    assert same.sections[0].lead == "Nothing: their rows are the same, in the same splits."
    assert same.rows
    assert not same.rows.rows


def test_a_version_without_rows_of_pairs_says_so(tmp_path: Path) -> None:
    folder = str(publish(tmp_path, make_pairs(4), kind="axolotl"))
    page = compose_version(folder)
    leads = {each.name: each.lead for each in page.sections}
    assert leads["distributions"].startswith("Nothing to show: no export has its pairs with all")
    written = report_page(page, str(tmp_path / "page.html"))
    assert set(written.empty) >= {"Distributions", "Diversity", "Length bias"}
    assert f"{tmp_path}/page.html" in str(written)


def test_what_is_no_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no dataset here"):
        compose_version(str(tmp_path))
