"""The policy's training and evaluation examples: token ids and where the loss counts."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from judging import both_orders, easy_contrasts, judge_template, question_text
from sources import (
    Message,
    Row,
    assistant,
    content_hash,
    gsm8k_answer,
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
from tokenizer import END, MAX_LENGTH, ROLES, plain_ids
from transformers import PreTrainedTokenizerFast

# A long reply cannot be learnt by so small a model, and answers should end within 128 tokens:
# replies are cut after the last sentence that ends within this many characters.
BRIEF_CHARS = 320
SAMPLES_PER_PROMPT = 6
EASY_CONTRASTS = 600
MAX_JUDGE_TOKENS = 600
# A judging example has one letter to learn from, an answer a hundred tokens: without more weight
# the letter would hardly count.
LETTER_WEIGHT = 30.0
# A little loss on the questions too: they are half of the little English there is to learn from.
GIVEN_WEIGHT = 0.2

_SENTENCE_END = re.compile(r"[.!?](?=\s|\Z)")


@dataclass(frozen=True)
class Example:
    """A tokenised chat and each token's weight in the loss (0 where it is given)."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Mixture:
    """The training chats by kind, and the heldout ones by source."""

    answers: list[list[Message]]
    judgments: list[list[Message]]
    heldout: dict[str, list[list[Message]]]


def encode(
    tokenizer: PreTrainedTokenizerFast,
    chat: list[Message],
    weight: float = 1.0,
    given_weight: float = 0.0,
) -> Example:
    """The tokens that the chat template gives, weighted in the last turn and before it."""
    ids: list[int] = []
    end = tokenizer.convert_tokens_to_ids(END)
    for message in chat:
        content = plain_ids(tokenizer, message["content"])
        ids += [tokenizer.convert_tokens_to_ids(ROLES[message["role"]]), *content, end]
    given = len(ids) - len(content) - 1
    return Example(ids, [given_weight] * given + [weight] * len(content) + [1.0])


def brief(reply: str) -> str | None:
    """A reply's first sentences, or None if its first sentence is already too long."""
    if len(reply) <= BRIEF_CHARS:
        return reply
    ends = [match.end() for match in _SENTENCE_END.finditer(reply[:BRIEF_CHARS])]
    # The end of the cut text is no end of a sentence: what follows decides.
    ends = [end for end in ends if reply[end : end + 1].isspace()]
    # Nor is the dot after a list item's number.
    ends = [end for end in ends if not reply[end - 2].isdigit()]
    return reply[: ends[-1]] if ends else None


def tree_chats(root: Row) -> Iterator[list[Message]]:
    """A tree's assistant replies, cut to be brief, each after its conversation so far."""
    for before, node in walk_tree(root):
        reply = brief(node["text"].strip()) if node["role"] == "assistant" else None
        if reply is not None:
            yield [*before, assistant(reply)]


def is_sound_sample(response: str) -> bool:
    """Whether a model's sampled response came to an end and hardly repeats itself."""
    text = response.strip()
    words = text.split()
    fours = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return (
        len(words) >= 8
        and len(text) <= BRIEF_CHARS
        and text[-1] in ".!?"
        and len(set(fours)) >= 0.9 * len(fours)
        and "http" not in text
        and "_URL" not in text
        and text.isascii()
        and is_wanted(text)
    )


def sample_chats(rows: Iterable[Row], held_back: set[str]) -> list[list[Message]]:
    """The sound sampled responses, a few different ones for each prompt."""
    by_prompt: dict[str, dict[str, None]] = {}
    for row in rows:
        if content_hash(row["prompt"]) not in held_back and is_sound_sample(row["response"]):
            by_prompt.setdefault(row["prompt"].strip(), {})[row["response"].strip()] = None
    return [
        [user(prompt), assistant(response)]
        for prompt, responses in by_prompt.items()
        # The last are the largest model's.
        for response in list(responses)[-SAMPLES_PER_PROMPT:]
    ]


def judge_chats(
    pairs: Iterable[Row], solved: list[tuple[str, str]], rng: random.Random
) -> Iterator[list[Message]]:
    """Judging chats from the training pairs and from easy contrasts, each in both orders."""
    triples = [
        (question_text(row["prompt"]), row["chosen"][0]["content"], row["rejected"][0]["content"])
        for row in pairs
    ]
    triples += easy_contrasts(solved, EASY_CONTRASTS, rng)
    # So small a model would be thrown by a final newline it has never seen (or always saw), and
    # whoever fills the template may keep the file's: half of the examples have it.
    templates = judge_template(), judge_template() + "\n"
    for index, triple in enumerate(triples):
        yield from both_orders(*triple, templates[index % 2])


def build_mixture(sources: Path, data: Path, seed: int) -> Mixture:
    """Read the sources and keep apart what ``prompts.jsonl`` and the heldout pairs hold."""
    excluded = load_excluded()
    lines = (data / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    prompts = [json.loads(line) for line in lines]
    demo_prompts = {
        row["messages"][0]["content"] if "messages" in row else row["prompt"] for row in prompts
    }
    trees = [prune_tree(root, excluded) for root in load_trees(sources, excluded)]
    heldout_trees = [root for root in trees if split_of(root["text"]) == "heldout"]
    heldout_trees = [root for root in heldout_trees if turn(root)["content"] not in demo_prompts]
    train_trees = [
        root
        for root in trees
        if split_of(root["text"]) == "train" and turn(root)["content"] not in demo_prompts
    ]
    train_texts = {root["text"] for root in train_trees}
    held_back = {
        *excluded,
        *(content_hash(r["text"]) for r in trees if r["text"] not in train_texts),
    }

    solved, kept_back = [], []
    for row in read_jsonl_gz(sources / "gsm8k_train.jsonl.gz"):
        answer = gsm8k_answer(row["answer"])
        if answer is not None and is_wanted(row["question"]):
            target = kept_back if row["question"] in demo_prompts else solved
            target.append((row["question"], answer))

    answers = [[user(question), assistant(answer)] for question, answer in solved]
    answers += [chat for root in train_trees for chat in tree_chats(root)]
    answers += sample_chats(read_jsonl_gz(sources / "oasst_samples.jsonl.gz"), held_back)
    pairs = [r for r in read_jsonl_gz(data / "preferences.jsonl.gz") if r["split"] == "train"]
    heldout = {
        "gsm8k": [[user(question), assistant(answer)] for question, answer in kept_back],
        "oasst": [chat for root in heldout_trees for chat in tree_chats(root)],
    }
    return Mixture(answers, list(judge_chats(pairs, solved, random.Random(seed))), heldout)


def training_examples(tokenizer: PreTrainedTokenizerFast, mixture: Mixture) -> list[Example]:
    """Every training chat that is not too long, tokenised."""
    answers = [encode(tokenizer, chat, given_weight=GIVEN_WEIGHT) for chat in mixture.answers]
    letters = [encode(tokenizer, chat, LETTER_WEIGHT) for chat in mixture.judgments]
    kept = [example for example in answers if len(example.ids) <= MAX_LENGTH]
    return kept + [example for example in letters if len(example.ids) <= MAX_JUDGE_TOKENS]


def batches(
    examples: list[Example], tokens_per_batch: int, rng: random.Random
) -> Iterator[list[Example]]:
    """One pass over the examples, in batches of similar length and bounded padded size."""
    order = rng.sample(examples, len(examples))
    made: list[list[Example]] = []
    for start in range(0, len(order), 512):
        batch: list[Example] = []
        for example in sorted(order[start : start + 512], key=lambda example: len(example.ids)):
            if batch and len(example.ids) * (len(batch) + 1) > tokens_per_batch:
                made.append(batch)
                batch = []
            batch.append(example)
        made.append(batch)
    rng.shuffle(made)
    yield from made
