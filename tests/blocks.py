"""The blocks of code in README, docs and the other papers, and what marks them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILT = (DOCS / "_build", DOCS / "reference" / "generated")

_FENCE = re.compile(r"(?:^<!-- (\w+): (\S+) -->\n)?^```(\{?[\w-]*\}?)[^\n]*\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    `<!-- params: mine.yaml -->` before the fence makes `check` "params" and `name` "mine.yaml".
    """

    paper: Path
    line: int
    language: str
    text: str
    check: str | None
    name: str | None

    def __str__(self) -> str:
        return f"{self.paper.relative_to(ROOT)}:{self.line}"


def list_papers() -> list[Path]:
    """README, the hand-written pages of docs/ and what lies beside the code, sorted."""
    names = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "recipes/README.md", "demo/README.md")
    pages = [
        page
        for page in DOCS.rglob("*.md")
        if not any(page.is_relative_to(folder) for folder in BUILT)
    ]
    return [ROOT / name for name in names] + sorted(pages)


def read_blocks(paper: Path) -> list[Block]:
    """The blocks of a paper, in order; directives of Sphinx are none."""
    text = paper.read_text(encoding="utf-8")
    blocks = []
    for found in _FENCE.finditer(text):
        check, name, language, content = found.groups()
        if not language.startswith("{"):
            line = text.count("\n", 0, found.start()) + 1
            blocks.append(Block(paper, line, language, content, check, name))
    return blocks


BLOCKS = [block for paper in list_papers() for block in read_blocks(paper)]


def get_block(check: str, name: str) -> Block:
    """The one block that is marked so."""
    (block,) = [b for b in BLOCKS if (b.check, b.name) == (check, name)]
    return block
