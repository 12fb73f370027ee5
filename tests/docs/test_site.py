"""The site builds without a warning, with every page, kind and record in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from blocks import DOCS, list_papers
from reference.parts import anchor

from prefdata.records import RECORDS
from prefdata.reports.reference.packages import PACKAGES


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("sphinx", reason="the site needs Sphinx: pip install prefdata[docs]")
    pytest.importorskip("myst_parser", reason="the site needs MyST: pip install prefdata[docs]")
    pytest.importorskip("furo", reason="the site needs furo: pip install prefdata[docs]")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    built = subprocess.run(
        [*command, "-d", str(out / "trees"), str(DOCS), str(out / "html")],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return out / "html"


def test_every_page_is_built(site: Path) -> None:
    pages = [page for page in list_papers() if page.is_relative_to(DOCS)]
    built = [site / page.relative_to(DOCS).with_suffix(".html") for page in pages]
    assert [str(page) for page in built if not page.exists()] == []


def test_every_kind_and_record_can_be_linked_to(site: Path) -> None:
    reference = site / "reference" / "generated"
    for package in PACKAGES:
        text = (reference / f"{package.name}.html").read_text(encoding="utf-8")
        assert [k for k in package.parts if f'id="{anchor(package, k)}"' not in text] == []
    text = (reference / "records.html").read_text(encoding="utf-8")
    assert [r for r in RECORDS if f'id="record-{r.__name__.lower()}"' not in text] == []
