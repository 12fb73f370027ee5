"""Let the policy judge pairs of answers: by the logits of the letters A and B."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from sources import Message, Row, assistant, user
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE_FILE = (
    Path(__file__).parents[1] / "prefdata" / "judges" / "prompted" / "prompts" / "pairwise.txt"
)
_PLACEHOLDER = re.compile(r"\{(prompt|response_a|response_b)\}")


def question_text(prompt: list[Message]) -> str:
    """A conversation as the judge reads it: the text alone if it is a single turn."""
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in prompt)


def judge_prompt(question: str, answer_a: str, answer_b: str, template: str) -> Message:
    """The judge's user turn, filled in one pass so that no answer is itself filled in."""
    values = {"prompt": question, "response_a": answer_a, "response_b": answer_b}
    return user(_PLACEHOLDER.sub(lambda match: values[match.group(1)], template))


def judge_template() -> str:
    """The text of the pairwise judge's template, without the file's last newline."""
    return TEMPLATE_FILE.read_text(encoding="utf-8").rstrip("\n")


def both_orders(question: str, better: str, worse: str, template: str) -> Iterator[list[Message]]:
    """The judging chat for a pair with the better answer first, then second."""
    yield [judge_prompt(question, better, worse, template), assistant("A")]
    yield [judge_prompt(question, worse, better, template), assistant("B")]


def spoiled(answer: str, rng: random.Random) -> str:
    """An answer made plainly worse: cut short, or its words shuffled."""
    words = answer.split()
    if rng.random() < 0.5:
        return " ".join(words[: max(1, len(words) // 3)])
    rng.shuffle(words)
    return " ".join(words)


def easy_contrasts(
    solved: list[tuple[str, str]], count: int, rng: random.Random
) -> Iterator[tuple[str, str, str]]:
    """Question, right answer, and a spoiled one or one to another question."""
    for _ in range(count):
        question, answer = rng.choice(solved)
        other = rng.choice(solved)[1]
        worse = spoiled(answer, rng) if rng.random() < 0.5 else other
        if worse != answer:
            yield question, answer, worse


@torch.inference_mode()
def prefers_a(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, chat: list[Message]
) -> bool:
    """Whether the letter A is likelier than B as the judge's reply."""
    ids = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    logits = model(**ids).logits[0, -1]
    letter_a, letter_b = tokenizer.convert_tokens_to_ids(["A", "B"])
    return bool(logits[letter_a] > logits[letter_b])


def judging_figures(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, pairs: Iterable[Row]
) -> dict[str, float]:
    """Accuracy over both orders, and how often swapping the answers changes the verdict."""
    template = judge_template()
    right = flips = judged = 0
    for row in pairs:
        texts = row["chosen"][0]["content"], row["rejected"][0]["content"]
        first, second = both_orders(question_text(row["prompt"]), *texts, template)
        if (
            len(tokenizer.apply_chat_template(first, return_dict=False))
            > tokenizer.model_max_length
        ):
            continue
        better_first = prefers_a(model, tokenizer, first[:1])
        better_second = not prefers_a(model, tokenizer, second[:1])
        right += better_first + better_second
        flips += better_first != better_second
        judged += 1
    return {
        "pairs": judged,
        "accuracy": round(right / max(1, 2 * judged), 4),
        "flip_rate": round(flips / max(1, judged), 4),
    }
