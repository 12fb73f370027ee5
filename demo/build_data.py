"""Build the demo's prompts and preference pairs from OpenAssistant and GSM8K files."""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from sources import (
    Message,
    Row,
    assistant,
    content_hash,
    gsm8k_answer,
    hash_order,
    is_usable,
    is_wanted,
    load_excluded,
    load_trees,
    prune_tree,
    read_jsonl_gz,
    split_of,
    turn,
    user,
    walk_tree,
)

SINGLE_TURN_PROMPTS = 140
GSM8K_PROMPTS = 140
# Multi-turn prompts come from trees that give nothing else, neither pairs nor training text.
PROMPT_TREES = 10
PROMPTS_PER_TREE = 2

MAX_PROMPT_CHARS = 700
MAX_CONVERSATION_CHARS = 1800
# Prompt and answer together must fit the policy's 1024 tokens.
MAX_PAIR_CHARS = 2600
MAX_PAIRS = 1500
PAIRS_PER_QUESTION = 2

SOLVERS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def is_clean(text: str) -> bool:
    """Whether a text is printable UTF-8 (the sources hold a few invisible separators)."""
    text.encode("utf-8")
    return all(char in "\n\t" or char.isprintable() for char in text)


def single_turn_prompts(sources: Path, excluded: dict[str, str]) -> list[str]:
    """The OpenAssistant prompts to use, in an order that their hashes decide."""
    prompts: list[str] = read_jsonl_gz(sources / "oasst_prompts.jsonl.gz")
    eligible = [
        prompt
        for prompt in dict.fromkeys(prompts)
        if len(prompt) <= MAX_PROMPT_CHARS
        and content_hash(prompt) not in excluded
        and is_clean(prompt)
    ]
    return sorted(eligible, key=lambda prompt: hash_order(prompt, "oasst"))[:SINGLE_TURN_PROMPTS]


def gsm8k_prompts(sources: Path) -> list[str]:
    """The GSM8K training questions that the policy is not trained on."""
    rows = read_jsonl_gz(sources / "gsm8k_train.jsonl.gz")
    eligible = {
        row["question"]
        for row in rows
        if len(row["question"]) <= MAX_PROMPT_CHARS
        and is_wanted(row["question"])
        and is_clean(row["question"])
    }
    return sorted(eligible, key=lambda question: hash_order(question, "gsm8k"))[:GSM8K_PROMPTS]


def multi_turn_prompts(root: Row) -> list[list[Message]]:
    """A tree's conversations of two or more user turns that end in one, at most one a branch."""
    chosen: dict[str, list[Message]] = {}
    for before, node in walk_tree(root):
        conversation = [*before, turn(node)]
        if node["role"] != "prompter" or len(conversation) < 3:
            continue
        length = sum(len(message["content"]) for message in conversation)
        if length <= MAX_CONVERSATION_CHARS and all(
            is_clean(message["content"]) for message in conversation
        ):
            # The later of two conversations in one branch is the longer: keep that.
            chosen[conversation[1]["content"]] = conversation
    return list(chosen.values())[:PROMPTS_PER_TREE]


def prompt_trees(roots: Iterable[Row]) -> list[Row]:
    """The trees set aside for multi-turn prompts."""
    rich = [root for root in roots if len(multi_turn_prompts(root)) == PROMPTS_PER_TREE]
    return sorted(rich, key=lambda root: hash_order(root["text"], "tree"))[:PROMPT_TREES]


def oasst_pairs(root: Row) -> Iterator[Row]:
    """Every better-and-worse pair of a tree's ranked siblings."""
    split = split_of(root["text"])
    for before, node in walk_tree(root):
        ranked = sorted(
            (reply for reply in node["replies"] if is_usable(reply) and "rank" in reply),
            key=lambda reply: reply["rank"],
        )
        prompt = [*before, turn(node)]
        for better, worse in itertools.combinations(ranked, 2):
            if better["rank"] < worse["rank"]:
                yield pair(prompt, turn(better), turn(worse), "oasst", split)


def gsm8k_pairs(row: Row) -> Iterator[Row]:
    """Pairs of a right and a wrong solution to one question, no solution used twice."""
    question = row["question"]
    right: dict[str, None] = {}
    wrong: dict[str, None] = {}
    for solver in SOLVERS:
        text = gsm8k_answer(row[solver]["solution"])
        if text is not None and is_clean(text):
            (right if row[solver]["is_correct"] else wrong)[text] = None
    # Reversed: the first pair takes the strongest solver's right answer.
    couples = zip(reversed(right), reversed(wrong), strict=False)
    for better, worse in itertools.islice(couples, PAIRS_PER_QUESTION):
        yield pair(
            [user(question)], assistant(better), assistant(worse), "gsm8k", split_of(question)
        )


def pair(prompt: list[Message], better: Message, worse: Message, source: str, split: str) -> Row:
    """One row of ``preferences.jsonl.gz``."""
    return {
        "prompt": prompt,
        "chosen": [better],
        "rejected": [worse],
        "source": source,
        "split": split,
    }


def is_usable_pair(row: Row) -> bool:
    """Whether a pair is short and clean enough and its answers differ."""
    texts = [message["content"] for key in ("prompt", "chosen", "rejected") for message in row[key]]
    better, worse = row["chosen"][0]["content"], row["rejected"][0]["content"]
    context = sum(len(message["content"]) for message in row["prompt"])
    fits = context + max(len(better), len(worse)) <= MAX_PAIR_CHARS
    return fits and better != worse and all(is_clean(text) for text in texts)


def build_prompts(sources: Path, excluded: dict[str, str], trees: Iterable[Row]) -> list[Row]:
    """The rows of ``prompts.jsonl``."""
    single = single_turn_prompts(sources, excluded)
    rows: list[Row] = [{"prompt": prompt, "source": "oasst"} for prompt in single]
    rows += [{"prompt": question, "source": "gsm8k"} for question in gsm8k_prompts(sources)]
    for root in trees:
        rows += [{"messages": messages, "source": "oasst"} for messages in multi_turn_prompts(root)]
    # Mixed, so that the first few rows show every kind.
    return sorted(rows, key=lambda row: hash_order(json.dumps(row, sort_keys=True), "mix"))


def build_pairs(sources: Path, trees: Iterable[Row]) -> list[Row]:
    """The rows of ``preferences.jsonl.gz``."""
    rows = [row for root in trees for row in oasst_pairs(root)]
    for question in read_jsonl_gz(sources / "gsm8k_solutions.jsonl.gz"):
        if is_wanted(question["question"]):
            rows += gsm8k_pairs(question)
    return [row for row in rows if is_usable_pair(row)][:MAX_PAIRS]


def jsonl_bytes(rows: Iterable[Row]) -> bytes:
    """Rows as UTF-8 JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")


def gzip_bytes(data: bytes) -> bytes:
    """Compressed data that is the same for the same input: no time, no file name."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python demo/build_data.py --sources sources --out demo/data",
    )
    parser.add_argument("--sources", type=Path, required=True, help="folder of the source files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Write both files and print how many rows each has."""
    args = parse_args()
    excluded = load_excluded()
    trees = [prune_tree(root, excluded) for root in load_trees(args.sources, excluded)]
    set_aside = prompt_trees(trees)
    aside_texts = {root["text"] for root in set_aside}
    prompts = build_prompts(args.sources, excluded, set_aside)
    pairs = build_pairs(args.sources, [root for root in trees if root["text"] not in aside_texts])

    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "prompts.jsonl").write_bytes(jsonl_bytes(prompts))
    (args.out / "preferences.jsonl.gz").write_bytes(gzip_bytes(jsonl_bytes(pairs)))
    heldout = sum(row["split"] == "heldout" for row in pairs)
    print(f"{len(prompts)} prompts; {len(pairs)} pairs, {heldout} of them heldout")


if __name__ == "__main__":
    main()
