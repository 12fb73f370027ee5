"""Read the OpenAssistant and GSM8K source files, and the helpers both scripts share."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Message = dict[str, str]
Row = dict[str, Any]

EXCLUDED_FILE = Path(__file__).with_name("excluded.jsonl")

# Share of the preference prompts kept for evaluation only.
HELDOUT_PERCENT = 20

# GSM8K is written for schoolchildren, but a few questions are about weapons, killing, drugs or
# drink; a newcomer's first screen needs none of them.
_UNWANTED = re.compile(
    r"\b(guns?|bullets?|weapons?|bomb\w*|kill\w*|murder\w*|drugs?|suicid\w*|shot|shoot\w*|dead"
    r"|die[sd]|dying|deaths?|stab\w*|rifles?|grenades?|missiles?|beers?|wines?|alcohol\w*|drunk"
    r"|cigar\w*|smok\w*|vodka|poison\w*|blood\w*|weed|swords?|wars?|battles?|attack\w*|sex\w*"
    r"|jail|prison\w*|gambl\w*|bets?|betting|overweight|fat|obes\w*|diets?)\b",
    re.IGNORECASE,
)
_CALCULATOR = re.compile(r"<<.*?>>", re.DOTALL)
_FINAL_LINE = re.compile(r"\nA: *(\S[^\n]*?)\s*\Z")


def read_jsonl_gz(path: Path) -> list[Any]:
    """Every line of a gzipped JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def content_hash(text: str) -> str:
    """The SHA-256 of a text, in hex: names a text in ``excluded.jsonl`` without repeating it."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def hash_order(text: str, salt: str) -> str:
    """A sort key that shuffles texts the same way on every machine."""
    return content_hash(f"{salt}\n{text}")


def split_of(prompt: str) -> str:
    """``heldout`` for about a fifth of all prompts, decided by the prompt's text alone."""
    bucket = int(content_hash(f"split\n{prompt}")[:8], 16) % 100
    return "heldout" if bucket < HELDOUT_PERCENT else "train"


def load_excluded(path: Path = EXCLUDED_FILE) -> dict[str, str]:
    """The hashes of the texts that are left out everywhere, each with the kind of reason."""
    with path.open(encoding="utf-8") as lines:
        return {row["sha256"]: row["reason"] for row in map(json.loads, lines)}


def is_wanted(text: str) -> bool:
    """Whether a text keeps clear of violence, drugs, drink, gambling and body weight."""
    return _UNWANTED.search(text) is None


def gsm8k_answer(worked: str) -> str | None:
    """A worked GSM8K answer without calculator annotations and ending in ``#### N``.

    None if it has no final answer, as the solutions that ran into their length limit.
    """
    text = _CALCULATOR.sub("", worked).strip()
    text = _FINAL_LINE.sub(lambda match: f"\n#### {match.group(1)}", text)
    return text if re.search(r"\n#### \S[^\n]*\Z", text) else None


def user(content: str) -> Message:
    """A user turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    """An assistant turn."""
    return {"role": "assistant", "content": content}


def is_usable(node: Row) -> bool:
    """Whether a tree's message is English, not deleted and not empty."""
    return node["lang"] == "en" and not node["deleted"] and bool(node["text"].strip())


def turn(node: Row) -> Message:
    """The chat message of a tree's node."""
    text = node["text"].strip()
    return user(text) if node["role"] == "prompter" else assistant(text)


def walk_tree(root: Row) -> Iterator[tuple[list[Message], Row]]:
    """Every usable node of a tree, with the usable conversation that leads up to it."""
    pending: list[tuple[list[Message], Row]] = [([], root)]
    while pending:
        before, node = pending.pop(0)
        if not is_usable(node):
            continue
        yield before, node
        pending.extend(([*before, turn(node)], reply) for reply in node["replies"])


def load_trees(sources: Path, excluded: dict[str, str]) -> list[Row]:
    """The roots of the OpenAssistant trees, less those with an excluded first prompt."""
    rows = read_jsonl_gz(sources / "oasst_trees.jsonl.gz")
    roots = [row["prompt"] for row in rows]
    return [root for root in roots if content_hash(root["text"]) not in excluded]


def prune_tree(root: Row, excluded: dict[str, str]) -> Row:
    """A copy of a tree without the excluded messages and what follows them."""
    kept = [reply for reply in root["replies"] if content_hash(reply["text"]) not in excluded]
    return {**root, "replies": [prune_tree(reply, excluded) for reply in kept]}
