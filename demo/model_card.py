"""The README.md that goes into each checkpoint's folder."""

from __future__ import annotations

from typing import Any

CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# prefdata demo {role}

{what}
Quality is not the point: it writes the shape of an answer, its words, facts and sums are mostly
wrong, and it must not be used for anything but trying prefdata out.

- **Model**: Llama architecture, {parameters:,} parameters, 1,024 positions, byte-level BPE of
  2,048 tokens; trained in float32, saved in bfloat16.
- **Chat**: `<|system|>`, `<|user|>` and `<|assistant|>` open a turn, `<|end|>` closes it.
- **Data**: GSM8K training questions with their worked answers; OpenAssistant replies, cut to
  their first sentences; answers that Pythia models sampled for OpenAssistant prompts; and
  judging examples (the reply is the letter of the better answer) from the training split of
  `demo/data/preferences.jsonl.gz` and from answers spoiled on purpose. The prompts of
  `demo/data/prompts.jsonl` and the heldout pairs are kept out.
- **Training**: `demo/train_policy.py`, from random weights, {steps:,} of {total_steps:,} steps of
  at most {batch_tokens:,} tokens, AdamW; the loss counts the last turn and its `<|end|>`, and
  with a fifth of the weight what comes before (not in judging examples). Needs no GPU.
- **Licence**: Apache-2.0. The data are from OpenAssistant (Apache-2.0) and GSM8K (MIT); see
  `demo/README.md`.

## Figures

Measured on the saved weights; the loss is per token of heldout answers.

| | random weights | reference | policy |
|---|---|---|---|
{rows}

Judging accuracy counts both orders of each heldout pair; a flip is a verdict that changes with
the order of the answers. A verdict by chance has accuracy 0.5, and one that only looks at the
order has 0.5 and flips 1.0: on pairs that were not made easy, expect no more from this model.

## Limits

The chat template writes content as it is, so content that spells a special token such as
`<|end|>` becomes that token. Without the template, `tokenizer(text, split_special_tokens=True)`
reads such a spelling as ordinary characters.
"""

WHAT = {
    "policy": "A tiny chat model, so that a first run needs neither a GPU nor a download.",
    "reference": "An earlier checkpoint of the demo policy, to compare the policy with.",
}


def table_rows(figures: dict[str, Any]) -> str:
    """The figures of the three columns, one line each."""
    columns = [figures["random"], figures["reference"], figures["policy"]]
    lines = [
        ("GSM8K loss", [column["gsm8k_loss"] for column in columns]),
        ("GSM8K perplexity", [column["gsm8k_perplexity"] for column in columns]),
        ("OpenAssistant loss", [column["oasst_loss"] for column in columns]),
        ("OpenAssistant perplexity", [column["oasst_perplexity"] for column in columns]),
    ]
    for source, name in (("gsm8k", "GSM8K"), ("oasst", "OpenAssistant")):
        judged = [column[f"judging_{source}"] for column in columns]
        pairs = judged[0]["pairs"]
        lines.append((f"Judging accuracy, {pairs} {name} pairs", [j["accuracy"] for j in judged]))
        lines.append((f"Judging flips, {pairs} {name} pairs", [j["flip_rate"] for j in judged]))
    lines.append(
        ("Sampled answers that end within 128 tokens", [c["sampled_ended"] for c in columns])
    )
    return "\n".join(f"| {name} | {' | '.join(map(str, values))} |" for name, values in lines)


def model_card(role: str, figures: dict[str, Any]) -> str:
    """The card of ``policy`` or ``reference``."""
    return CARD.format(
        role=role,
        what=WHAT[role],
        parameters=figures["parameters"],
        steps=figures["steps"] if role == "policy" else figures["reference_steps"],
        total_steps=figures["steps"],
        batch_tokens=figures["batch_tokens"],
        rows=table_rows(figures),
    )
