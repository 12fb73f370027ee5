"""What the page on errors quotes stands in the code."""

from __future__ import annotations

import re

import pytest
from blocks import DOCS, ROOT

PAGE = (DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def source() -> str:
    """All code, its string literals joined where they are cut over lines."""
    files = [*(ROOT / "prefdata").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_every_quoted_message_is_one_of_ours(source: str) -> None:
    quoted = re.findall(r"^### `(.+?)`", PAGE, re.M)
    assert len(quoted) > 12
    assert [message for message in quoted if message not in source] == []


def test_every_reason_is_one_of_ours(source: str) -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| (\w+(, \w+)* \|)? ?`?\w", line)]
    cells = [cell for line in rows for cell in line.split("|")[1:3]]
    reasons = {code for cell in cells for code in re.findall(r"`([a-z]+(?:_[a-z]+)*)`", cell)}
    assert len(reasons) > 45
    assert [r for r in sorted(reasons) if not re.search(rf'["\b]{r}["\b:]', source)] == []
