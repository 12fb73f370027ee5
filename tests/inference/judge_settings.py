"""Settings of the judges that the first run has none of: verifiers, reward models."""

from __future__ import annotations

from inference.expected import EMBEDDING, HIT, NEW

# In place of a judge whose embeddings are not asked then: what has to be set, and each setting.
_OTHER_JUDGES: dict[str, tuple[str, dict[str, str], str]] = {
    "constraints": (
        "",
        {
            **{
                f"{side}_{unit}": f"{side}_{unit}: 3"
                for unit in ("chars", "words", "sentences", "paragraphs", "bullets")
                for side in ("min", "max")
            },
            "keywords": "keywords: [moon]",
            "forbidden": "forbidden: [moon]",
            "starts_with": "starts_with: A",
            "ends_with": "ends_with: z",
            "format": "format: [json]",
            "partial": "partial: true",
        },
        HIT,
    ),
    "exact_match": (
        "",
        {
            "extract": "extract: moon",
            "ignore_case": "ignore_case: false",
            "ignore_punctuation": "ignore_punctuation: false",
        },
        HIT,
    ),
    "json_schema": (
        "",
        {"file": "file: {folder}/copy-of-head/head.json", "fenced": "fenced: false"},
        HIT,
    ),
    "math_answer": ("", {"tolerance": "tolerance: 0.1"}, HIT),
    # The score of every response by `policy` is asked by the implicit reward too.
    "mean_logprob": ("", {"temperature": "temperature: 2"}, HIT),
    "people": (
        "labels: rating, ",
        {"labels": "", "annotators": "annotators: [a]", "groups": "groups: [g]"},
        HIT,
    ),
    "regex_match": (
        "",
        {"pattern": "pattern: moon", "whole": "whole: true", "ignore_case": "ignore_case: true"},
        HIT,
    ),
    "reward_model": (
        "models: [policy], ",
        {
            "models": "",
            "heads": "heads: [wit]",
            "weights": "weights: [2]",
            "apart": "heads: [wit], apart: true",
            "temperature": "temperature: 2",
        },
        NEW,
    ),
    "unit_tests": (
        "require_no_network: false, ",
        {
            "seconds": "seconds: 2",
            "memory_mb": "memory_mb: 512",
            "partial": "partial: true",
            "require_no_network": "",
        },
        HIT,
    ),
}
OTHER_JUDGES: dict[str, tuple[str, str]] = {
    f"judge.judges.{kind}.{name}": (
        f"judge.judges.{EMBEDDING}={{{{kind: {kind}, {basis}{change}}}}}",
        expected,
    )
    for kind, (basis, changes, expected) in _OTHER_JUDGES.items()
    for name, change in {"name": "name: x", "dimension": "dimension: wit", **changes}.items()
}
OTHER_JUDGES["judge.judges.mean_logprob.model"] = (
    f"judge.judges.{EMBEDDING}={{{{kind: mean_logprob, model: other}}}}",
    NEW,
)
