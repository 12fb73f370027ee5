"""The blocks of code in README, docs and the other papers, and what marks them."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prefdata.config import Params

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BUILT = (DOCS / "_build", DOCS / "reference" / "generated")

_FENCE = re.compile(
    r"(?:^<!-- (\w+): (\S+) -->\n)?^```(\{?[\w-]*\}?)[^\n]*\n(.*?)^```$", re.M | re.S
)


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


BASE: dict[str, Any] = {
    "models": {
        name: {"engine": "scripted", "model": name} for name in ("policy", "reference", "embedder")
    },
    "ingest": {"sources": [{"path": "prompts.jsonl"}]},
    "generate": {},
    "judge": {"judges": [{"kind": "pairwise", "model": "policy"}]},
    "consensus": {"kind": "mean"},
    "pair": {"strategy": {"kind": "best_worst"}},
}
"""What a block of some sections leaves out."""


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`; a model of another engine replaces the one there."""
    merged = copy.deepcopy(base)
    for key, value in changes.items():
        there = merged.get(key)
        if isinstance(value, dict) and isinstance(there, dict) and "engine" not in value:
            value = _merge(there, value)
        merged[key] = value
    return merged


def read_params(block: Block) -> Params:
    """The block as a configuration, what it leaves out filled in."""
    return Params.model_validate(_merge(BASE, yaml.safe_load(block.text)))
