"""Links between README, docs and the other papers lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from blocks import DOCS, ROOT, list_papers

GENERATED = DOCS / "reference" / "generated"


def heading_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("paper", list_papers(), ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(paper: Path, generated_pages: dict[str, str]) -> None:
    text = paper.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        page = (paper.parent / path).resolve() if path else paper
        if page.parent == GENERATED:
            assert page.name in generated_pages, target
            assert not anchor or f"({anchor})=" in generated_pages[page.name], target
            continue
        assert page.exists(), target
        assert not anchor or anchor in heading_anchors(page), target


@pytest.mark.parametrize("paper", list_papers(), ids=lambda p: str(p.relative_to(ROOT)))
def test_paths_in_the_text_exist(paper: Path) -> None:
    code = re.findall(r"`([^`\n]+)`", paper.read_text(encoding="utf-8"))
    folders = r"(?:prefdata|pipelines|docs|recipes|schemas|demo|tests|benchmarks)/[\w./-]*"
    paths = [path for path in code if re.fullmatch(folders, path)]
    untracked = ("docs/_build", "schemas/params.json")
    assert [p for p in paths if not p.startswith(untracked) and not (ROOT / p).exists()] == []


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for index in DOCS.rglob("index.md"):
        for contents in re.findall(r"```\{toctree\}\n(.*?)```", index.read_text(), re.S):
            lines = [x for x in contents.splitlines() if x and not x.startswith(":")]
            listed |= {(index.parent / f"{line}.md").resolve() for line in lines}
    pages = {page for page in list_papers() if page.is_relative_to(DOCS)}
    assert pages - listed == {DOCS / "index.md"}
    assert {page for page in listed - pages if page.parent != GENERATED} == set()
