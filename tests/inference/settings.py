"""For every setting there is: what changing it asks the models anew.

Beside each setting the change that is tried, as `--set` takes it or as a value.
"""

from __future__ import annotations

from typing import Any

from inference.consensus_settings import overrides
from inference.expected import (
    CHES,
    DUPLICATES,
    EMBEDDING,
    HIT,
    IMPLICIT,
    MISS,
    MORE,
    NEAR_IDENTICAL,
    NEW,
    PAIRWISE,
)
from inference.judge_settings import OTHER_JUDGES

FLOW: dict[str, tuple[str, str]] = {
    "data": ("data={folder}/elsewhere", HIT),
    "memo": ("memo={folder}/another-memo", HIT),
    "buckets": ("buckets=8", HIT),
    "ingest.sources.path": ("ingest.sources.0.path={folder}/copy.jsonl", HIT),
    "ingest.sources.format": ("ingest.sources.0.format=jsonl", HIT),
    "ingest.sources.prompt_field": ("ingest.sources.0.prompt_field=question", NEW),
    "ingest.sources.messages_field": ("ingest.sources.0.messages_field=turns", NEW),
    "ingest.sources.ground_truth_field": ("ingest.sources.0.ground_truth_field=question", HIT),
    **{
        f"ingest.sources.labels.{name}": (
            f"ingest.sources.0.labels={{{{kind: rating, {change}}}}}",
            HIT,
        )
        for name, change in {
            "kind": "",
            "response_field": "response_field: response",
            "value_field": "value_field: stars",
            "annotator_field": "annotator_field: who",
            "group_field": "group_field: team",
            "model_field": "model_field: author",
            "dimension": "dimension: wit",
        }.items()
    },
    "ingest.sources.limit": ("ingest.sources.0.limit=3", HIT),
    "ingest.test_fraction": ("ingest.test_fraction=0.5", HIT),
    "ingest.max_prompt_chars": ("ingest.max_prompt_chars=99", HIT),
    "ingest.max_faulty_fraction": ("ingest.max_faulty_fraction=1", HIT),
    "reward_head.data": ("reward_head.data={folder}/copy-of-pairs.jsonl", HIT),
    "reward_head.model": ("reward_head.model=other", MISS),
    "reward_head.features": ("reward_head.features=[response, relevance, surface]", HIT),
    "reward_head.control_length": ("reward_head.control_length=true", HIT),
    "reward_head.l2": ("reward_head.l2=7", HIT),
    "reward_head.out": ("reward_head.out={folder}/another-head", HIT),
    "generate.model": ("generate.model=other", MISS),
    "generate.n": ("generate.n=3", MORE),
    "generate.temperature": ("generate.temperature=0.9", MISS),
    "generate.top_p": ("generate.top_p=0.9", MISS),
    "generate.top_k": ("generate.top_k=7", MISS),
    "generate.max_tokens": ("generate.max_tokens=511", MISS),
    "generate.stop": ("generate.stop=[END]", MISS),
    "generate.seed": ("generate.seed=1", MISS),
    "generate.accepted_per_prompt": ("generate.accepted_per_prompt=1", HIT),
    "generate.target_pairs": ("generate.target_pairs=1", HIT),
    "generate.max_n": ("generate={{n: 2, target_pairs: 1, max_n: 6}}", HIT),
    "generate.max_faulty_fraction": ("generate.max_faulty_fraction=1", HIT),
    "judge.judges.kind": ("judge.judges=[{{kind: pairwise, model: policy}}]", HIT),
    "judge.judges.embedding_reward.dimension": (f"judge.judges.{EMBEDDING}.dimension=wit", HIT),
    "judge.judges.embedding_reward.name": (f"judge.judges.{EMBEDDING}.name=x", HIT),
    "judge.judges.embedding_reward.model": (f"judge.judges.{EMBEDDING}.model=twin", HIT),
    "judge.judges.embedding_reward.head": (
        f"judge.judges.{EMBEDDING}.head={{folder}}/copy-of-head",
        HIT,
    ),
    "judge.judges.implicit_reward.dimension": (f"judge.judges.{IMPLICIT}.dimension=wit", HIT),
    "judge.judges.implicit_reward.name": (f"judge.judges.{IMPLICIT}.name=x", HIT),
    "judge.judges.implicit_reward.policy": (f"judge.judges.{IMPLICIT}.policy=other", NEW),
    "judge.judges.implicit_reward.reference": (f"judge.judges.{IMPLICIT}.reference=other", NEW),
    "judge.judges.implicit_reward.beta": (f"judge.judges.{IMPLICIT}.beta=0.5", HIT),
    "judge.judges.implicit_reward.per_token": (f"judge.judges.{IMPLICIT}.per_token=true", HIT),
    "judge.consensus.kind": ("judge.consensus.kind=scir", HIT),
    **{setting: (override, HIT) for setting, override in overrides().items()},
    # Judges who agree on something; what they are shown is part of what they are asked.
    **{
        f"judge.demonstrations.{name}": (
            "judge={{judges: [{{kind: pairwise, model: policy}}, {{kind: implicit_reward}}], "
            f"consensus: {{{{kind: mean}}}}, demonstrations: {{{{{name}: {value}}}}}}}}}",
            NEW,
        )
        for name, value in {
            "cycles": 2,
            "count": 1,
            "max_chars": 999,
            "judges": "[pairwise]",
        }.items()
    },
    "judge.max_faulty_fraction": ("judge.max_faulty_fraction=1", HIT),
    "score.model": ("score.model=other", MISS),
    "score.max_faulty_fraction": ("score.max_faulty_fraction=1", HIT),
    "pair.strategy.kind": ("pair.strategy={{kind: best_worst}}", HIT),
    "pair.strategy.all_above_margin.min_margin": ("pair.strategy.min_margin=0.05", HIT),
    **{
        f"pair.strategy.lowest_ches.{name}": (
            f"pair.strategy={{{{kind: lowest_ches, {name}: {value}}}}}",
            HIT,
        )
        for name, value in (("score", "ches"), ("min_margin", 0.1))
    },
    # Of near-duplicates the best rewarded stays: others reach the filters that ask.
    "augment.rewards": ("augment.rewards=[embedding_reward]", NEW),
    "filter.filters.kind": ("filter.filters=[{{kind: ches, max_value: 0}}]", MORE),
    "filter.filters.ches.model": (f"filter.filters.{CHES}.model=other", MISS),
    "filter.filters.ches.score": (f"filter.filters.{CHES}.score=ches", HIT),
    "filter.filters.ches.max_quantile": (f"filter.filters.{CHES}.max_quantile=0.2", HIT),
    "filter.filters.ches.max_value": (
        f"filter.filters.{CHES}={{{{kind: ches, max_value: -1}}}}",
        HIT,
    ),
    "filter.filters.ches.best_of_prompt": (
        f"filter.filters.{CHES}={{{{kind: ches, best_of_prompt: 1}}}}",
        HIT,
    ),
    "filter.filters.near_duplicates.max_similarity": (
        f"filter.filters.{DUPLICATES}.max_similarity=1",
        MORE,
    ),
    "filter.filters.near_identical.max_similarity": (
        f"filter.filters.{NEAR_IDENTICAL}.max_similarity=0.7",
        HIT,
    ),
    **{
        f"filter.filters.limit.{name}": (f"filter.filters.0={{{{kind: limit, {name}: 1}}}}", HIT)
        for name in ("per_prompt", "pairs")
    },
    "filter.max_faulty_fraction": ("filter.max_faulty_fraction=1", HIT),
    "export.format.kind": ("export.format.kind=trl", HIT),
    "export.name": ("export.name=other", HIT),
    "export.license": ("export.license=mit", HIT),
}

# The judges that ask a model: their settings beside name and model, and how verdicts are read.
_RATING = {
    "rubric.criteria": ("[short]", NEW),
    "rubric.low": ("0", NEW),
    "rubric.high": ("9", NEW),
    "rubric.anchors": ("{{1: bad}}", NEW),
    "rating_temperature": ("2", HIT),
}
_WRITING = {"trace_tokens": ("99", NEW), "temperature": ("0.5", NEW)}
ASKING: dict[str, dict[str, tuple[str, str]]] = {
    "pairwise": {},
    "critique": {**_RATING, **_WRITING},
    "hindsight": {**_RATING, **_WRITING},
    "honesty": {
        "dimension": ("truth", HIT),
        "policy": ("other", NEW),
        "samples": ("5", MORE),
        "temperature": ("0.5", NEW),
        "max_tokens": ("99", NEW),
        "seed": ("2", NEW),
    },
    # Two responses have two orders, which four permutations hold already.
    "listwise": {"permutations": ("6", HIT), "max_responses": ("9", HIT)},
    "pointwise": _RATING,
    "reasoning": {**_WRITING, "first": ("solution", NEW)},
    "safety": {"dimension": ("harm", HIT), "harms": ("[theft]", NEW)},
}
_PLACES = {kind: n + IMPLICIT for n, kind in enumerate(ASKING)} | {"pairwise": PAIRWISE}
FLOW |= {
    f"judge.judges.{kind}.{name}": (f"judge.judges.{_PLACES[kind]}.{name}={value}", expected)
    for kind, own in ASKING.items()
    for name, (value, expected) in {
        "name": ("x", HIT),
        "dimension": ("wit", HIT),
        "model": ("other", NEW),
        "verdict": ("text", NEW),
        "verdict_tokens": ("99", HIT),
        **own,
    }.items()
}

FLOW |= OTHER_JUDGES

# In place of a filter that drops nothing. Those that ask embeddings ask more than the first run;
# the others drop pairs, if any, before CHES is asked.
_OTHER_FILTERS: dict[str, tuple[str, dict[str, str], str]] = {
    "contamination": (
        "files: [{folder}/copy.jsonl], of: [rejected], ",
        {
            "files": "",
            "of": "",
            "columns": "columns: [prompt]",
            "n": "n: 9",
            "min_words": "min_words: 9",
        },
        HIT,
    ),
    "language": (
        "",
        {
            "of": "of: [rejected]",
            "languages": "languages: [en]",
            "among": "among: [en, de]",
            "min_confidence": "min_confidence: 1",
            "min_chars": "min_chars: 99",
        },
        HIT,
    ),
    "length_bias": (
        "method: reweighted, ",
        {"method": "", "bins": "bins: 2", "max_weight": "max_weight: 2"},
        HIT,
    ),
    "offensive": ("", {"of": "of: [rejected]", "max_probability": "max_probability: 0.99"}, HIT),
    "personal_data": (
        "",
        {"of": "of: [rejected]", "kinds": "kinds: [iban]", "region": "region: US"},
        HIT,
    ),
    "refusals": (
        "",
        {"of": "of: [rejected]", "within": "within: 9", "phrases": "phrases: [zzz]"},
        HIT,
    ),
    "repetition": (
        "max_repeated: 0.99, ",
        {"of": "of: [rejected]", "max_repeated": "", "min_words": "min_words: 9"},
        HIT,
    ),
    "truncation": ("", {"of": "of: [rejected]"}, HIT),
    "near_duplicates": (
        "max_similarity: 1, ",
        {"over": "over: chosen", "best_by": "best_by: soft_label"},
        HIT,
    ),
    "semantic_duplicates": (
        "max_similarity: 1, ",
        {
            "over": "over: chosen",
            "best_by": "best_by: soft_label",
            "model": "model: other",
            "max_similarity": "",
        },
        MORE,
    ),
    "similar_responses": (
        "max_similarity: 1, ",
        {"model": "model: other", "max_similarity": ""},
        MORE,
    ),
    **{
        kind: (
            "budget: 1000, ",
            {
                "budget": "",
                "over": "over: pairs",
                "model": "model: other",
                "best_by": "best_by: soft_label",
                **more,
            },
            MORE,
        )
        for kind, more in {
            "facility_location": {},
            "k_center": {},
            "quality_diversity": {
                "projection": "projection: principal",
                "dimensions": "dimensions: 2",
                "bins": "bins: 3",
            },
        }.items()
    },
}
FLOW |= {
    f"filter.filters.{kind}.{name}": (
        f"filter.filters.{NEAR_IDENTICAL}={{{{kind: {kind}, {basis}{change}}}}}",
        expected,
    )
    for kind, (basis, changes, expected) in _OTHER_FILTERS.items()
    for name, change in changes.items()
}

# Of a model that is no folder here; `revision` names the commit that `model_fingerprint` finds.
MODEL: dict[str, tuple[Any, str]] = {
    "engine": ("sentence", MISS),
    "model": ("another/model", MISS),
    "revision": ("v2", MISS),
    "dtype": ("bfloat16", MISS),
    "device": ("cuda:1", HIT),
    "max_batch_tokens": (7, HIT),
    "max_batch_rows": (7, HIT),
    "options": ({"any": "thing"}, HIT),
    "prices": ({"input_per_million": 7.0}, HIT),
}

OPTIONS: dict[str, dict[str, tuple[Any, str]]] = {
    "scripted": {
        "responses": ({"2 + 2": "4"}, MISS),
        "response_chars": (7, MISS),
        "dimension": (3, MISS),
        "fail": (["poison"], HIT),
        "latency_seconds": (1.0, HIT),
    },
    "openai": {},  # tests/engines/openai/test_options.py
    "reward_model": {},
    "sentence": {},
    "transformers": {},
    "vllm": {},  # tests/engines/test_vllm_options.py
}

AFTER: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", "generate"),
    "reward_head": ("reward-head",),
    "generate": ("generate",),
    "judge": ("judge",),
    "score": ("score",),
    "pair": ("pair", "augment", "filter"),
    "augment": ("augment", "filter"),
    "filter": ("filter",),
    "export": ("export",),
}
"""The stages that a section concerns, as far as the next one that asks models."""
