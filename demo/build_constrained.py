"""Build the demo's prompts with constraints that a rule can check, of OpenAssistant's prompts."""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from build_data import is_clean, jsonl_bytes
from sources import Row, content_hash, hash_order, is_usable, load_excluded, read_jsonl_gz

INSTRUCTIONS = 225
HELDOUT_INSTRUCTIONS = 75
VARIANTS = 2
MAX_CHARS = 260

# What asks for code, a formula or a whole text to be worked on can't be answered in a few words.
_UNFIT = re.compile(
    r"python (?:script|program|function|file)|program in python|using python|in java\b|c\+\+"
    r"|latex|uuid|lean 4|vsftpd|\bcss\b|visual basic|rephrase|proof reader|symbolic link"
    r"|\[CITY|^\W*(?:hi|hello)\W*$|math\.isclose",
    re.IGNORECASE,
)

USED = (
    "important", "because", "people", "today", "example", "simple", "time", "often", "world",
    "first", "good", "way", "help", "remember", "different", "small",
)  # fmt: skip
AVOIDED = (
    "the", "and", "is", "you", "can", "it", "a", "of", "to", "are", "this", "that", "also", "very",
    "which", "for",
)  # fmt: skip
STARTS = ("Well", "In short", "Of course", "First", "Here", "Yes")
ENDS = ("!", "...", "Good luck!", "Thank you.", "The end.")
LANGUAGES = {"es": "Spanish", "fr": "French", "de": "German", "it": "Italian"}
LANGUAGE_SHARE = 0.3

Part = tuple[str, dict[str, Any]]


def draw_length(draw: random.Random) -> Part:
    """A limit on words or sentences, or a number of bullet points."""
    least, most = draw.choice((12, 15, 20, 25)), draw.choice((10, 15, 20, 25, 30))
    sentences, bullets = draw.randint(1, 3), draw.randint(2, 4)
    named = {1: "one sentence", 2: "two sentences", 3: "three sentences"}[sentences]
    parts: list[Part] = [
        (f"Use at most {most} words.", {"max_words": most}),
        (
            f"Use at least {least} and at most {least + 20} words.",
            {"min_words": least, "max_words": least + 20},
        ),
        (
            f"Answer in exactly {named}.",
            {"min_sentences": sentences, "max_sentences": sentences},
        ),
        (f"Answer in at most {named}.", {"max_sentences": sentences}),
        (
            f"Answer with exactly {bullets} bullet points.",
            {"min_bullets": bullets, "max_bullets": bullets},
        ),
    ]
    return draw.choice(parts)


def draw_used(draw: random.Random) -> Part:
    """One or two words to use."""
    words = draw.sample(USED, draw.choice((1, 1, 2)))
    quoted = " and ".join(f'"{word}"' for word in words)
    return f"Use the word{'s' * (len(words) > 1)} {quoted}.", {"keywords": words}


def draw_avoided(draw: random.Random) -> Part:
    """One or two words to avoid."""
    words = draw.sample(AVOIDED, draw.choice((1, 1, 2)))
    quoted = " or ".join(f'"{word}"' for word in words)
    return f"Do not use the word{'s' * (len(words) > 1)} {quoted}.", {"forbidden": words}


def draw_case(draw: random.Random) -> Part:
    """All letters small, or all of them capital."""
    case = draw.choice(("lowercase", "lowercase", "uppercase"))
    return f"Write everything in {case} letters.", {"format": [case]}


def draw_form(draw: random.Random) -> Part:
    """Punctuation and lines, or how the response begins or ends."""
    start, end = draw.choice(STARTS), draw.choice(ENDS)
    parts: list[Part] = [
        ("Do not use any commas.", {"format": ["no_commas"]}),
        ("Put your whole answer in double quotation marks.", {"format": ["quoted"]}),
        ("Write it all on one line.", {"format": ["one_line"]}),
        (f'Begin your answer with "{start}".', {"starts_with": start}),
        (f'End your answer with "{end}".', {"ends_with": end}),
    ]
    return draw.choice(parts)


DRAWS: tuple[Callable[[random.Random], Part], ...] = (
    draw_length, draw_used, draw_avoided, draw_case, draw_form,
)  # fmt: skip


def contradict(constraints: dict[str, Any]) -> bool:
    """Whether no response can meet all of them."""
    formats = constraints.get("format", [])
    cased = {"lowercase", "uppercase"} & set(formats)
    edges = constraints.get("starts_with", "") + constraints.get("ends_with", "")
    listed = constraints.get("min_bullets", 1) > 1 or constraints.get("min_sentences", 1) > 2
    words = set(constraints.get("forbidden", []))
    clashes = (
        bool(cased) and any(letter.isalpha() for letter in edges),
        listed and "one_line" in formats,
        listed and bool(edges or "quoted" in formats),
        bool(words & set(re.findall(r"\w+", edges.lower()))),
    )
    return any(clashes)


def draw_constraints(draw: random.Random) -> tuple[str, dict[str, Any]]:
    """What is asked of the form of a response, in words and as the verifier `constraints` reads it:
    one to three constraints of different kinds that can be met together."""
    while True:
        count = draw.choices((1, 2, 3), weights=(2, 5, 3))[0]
        said: list[str] = []
        constraints: dict[str, Any] = {}
        for make in draw.sample(DRAWS, count):
            text, part = make(draw)
            said.append(text)
            for name, value in part.items():
                joined = [*constraints.get(name, []), *value] if name == "format" else value
                constraints[name] = joined
        if not contradict(constraints):
            return " ".join(said), constraints


def draw_language(draw: random.Random, constraints: dict[str, Any]) -> Part | None:
    """A language to answer in; none for most prompts, and for those that name words to use."""
    named = {"keywords", "starts_with", "ends_with"} & set(constraints)
    if named or draw.random() > LANGUAGE_SHARE:
        return None
    code, name = draw.choice(sorted(LANGUAGES.items()))
    return f"Answer in {name}.", {"language": code}


def choose_instructions(sources: Path) -> list[str]:
    """OpenAssistant's prompts that a few words can answer, in an order that their hashes decide."""
    excluded = load_excluded()
    trees = [row["prompt"] for row in read_jsonl_gz(sources / "oasst_trees.jsonl.gz")]
    texts: list[str] = read_jsonl_gz(sources / "oasst_prompts.jsonl.gz")
    texts += [root["text"] for root in trees if is_usable(root)]
    fit = {
        text.strip()
        for text in texts
        if len(text) <= MAX_CHARS
        and "\n" not in text.strip()
        and content_hash(text) not in excluded
        and is_clean(text)
        and not _UNFIT.search(text)
    }
    return sorted(fit, key=lambda text: hash_order(text, "constrained"))[:INSTRUCTIONS]


def build_rows(instructions: list[str]) -> list[Row]:
    """VARIANTS prompts of every instruction; all of one instruction are in one split."""
    rows: list[Row] = []
    for number, text in enumerate(instructions):
        for variant in range(VARIANTS):
            said, constraints = draw_constraints(random.Random(f"{variant}\n{text}"))
            language = draw_language(random.Random(f"{variant}\nlanguage\n{text}"), constraints)
            if language is not None:
                said, constraints = f"{language[0]} {said}", {**constraints, **language[1]}
            rows.append(
                {
                    "prompt": f"{text}{'' if text[-1] in '.?!' else '.'} {said}",
                    "ground_truth": json.dumps(constraints),
                    "source": "oasst",
                    "instruction": number,
                    "split": "heldout" if number < HELDOUT_INSTRUCTIONS else "train",
                }
            )
    return rows


def main() -> None:
    """Write the file and print how many rows it has."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python demo/build_constrained.py --sources sources --out demo/data",
    )
    parser.add_argument("--sources", type=Path, required=True, help="folder of the source files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    rows = build_rows(choose_instructions(args.sources))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "constrained.jsonl").write_bytes(jsonl_bytes(rows))
    print(f"{len(rows)} prompts, {sum(row['split'] == 'heldout' for row in rows)} of them heldout")


if __name__ == "__main__":
    main()
