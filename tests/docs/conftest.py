"""The pages of the reference, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "docs" / "_ext"))


@pytest.fixture(scope="session")
def generated_pages() -> dict[str, str]:
    """File name -> text of the generated pages."""
    from reference import pages

    return pages()
