"""generate.policies: what a policy leaves out, what is refused, and what stays in the memo."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from prefdata.config.generate import GenerateParams, Policy, find_equals
from prefdata.engines.base import OPERATIONS
from prefdata.errors import ConfigError
from prefdata.inference.keys import request_keys
from prefdata.parts.validation import validate

TWO = [{"model": "strong"}, {"model": "weak"}]
CONVERSATIONS = [
    [{"role": "user", "content": "Hi"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Because."},
        {"role": "user", "content": "And?"},
    ],
]
STORED: list[tuple[dict[str, Any], list[str]]] = [
    (
        {},
        [
            "4a26999bbca8761e05b8c887827bcff8", "f1282e0a466e76b21d9774b2935728b2",
            "eb2ac29518d1049a5f0bd9cbe8e27d85", "64ea44e1dd00a8b0e672cddd9221a1da",
        ],
    ),
    (
        {"temperature": 0.8, "max_tokens": 96},
        [
            "b3b23454f0de7cd1507dd0fa7bf88261", "48f20df3dd4baeee11b08c6e20fe461c",
            "e409d640c055d233df10a454a218dcc5", "2166be0ebe4b72ae74548844d95d449b",
        ],
    ),
    (
        {"top_p": 0.9, "top_k": 7, "stop": ["END"], "seed": 3},
        [
            "145b88dfbf43d60caed4dd7373a17421", "6756ff472a2b2f7ba5a6d5e42eedadc2",
            "208b9cf0b944d7c12f9348204cbe56ab", "5456fa24588ed82a2569fef8682b377e",
        ],
    ),
]  # fmt: skip
"""Settings of generate, and the keys that schema version 2 gave two samples of CONVERSATIONS."""


def read(**settings: Any) -> GenerateParams:
    return validate(GenerateParams, settings, "generate")


def make_keys(policy: Policy) -> list[str]:
    rows = pl.DataFrame({
        "messages": [c for c in CONVERSATIONS for _ in range(2)],
        "sample_index": [0, 1] * 2,
    })  # fmt: skip
    columns = OPERATIONS["generate"].request
    keys = request_keys("f" * 32, "generate", policy.sampling, rows, columns)
    return keys.bin.encode("hex").to_list()


@pytest.mark.parametrize(("settings", "keys"), STORED)
def test_the_keys_of_one_policy_are_those_of_version_2(
    settings: dict[str, Any], keys: list[str]
) -> None:
    (alone,) = read(**settings).list_policies()
    (listed,) = read(policies=[{"model": "policy"}], **settings).list_policies()
    (own,) = read(policies=[{"model": "policy", "name": "one", **settings}]).list_policies()
    assert make_keys(alone) == make_keys(listed) == make_keys(own) == keys
    assert (alone.name, listed.name, own.name) == ("policy", "policy", "one")


def test_what_a_policy_leaves_out_is_generate_s_own_setting() -> None:
    given = {
        "model": "unused", "n": 3, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 7,
        "stop": ["a"], "seed": 2, "system": "Be kind.", "chat_template_kwargs": {"b": 1, "a": 2},
    }  # fmt: skip
    other = {
        "n": 1, "temperature": 0.0, "top_p": 1.0, "top_k": 0, "max_tokens": 9, "stop": [],
        "seed": 0, "system": "", "chat_template_kwargs": {},
    }  # fmt: skip
    same, changed = read(
        **given, policies=[{"model": "m"}, {"model": "m", "name": "x", **other}]
    ).list_policies()
    (alone,) = read(**given).list_policies()
    assert same.sampling == alone.sampling
    assert (same.name, same.n, same.system) == ("m", 3, "Be kind.")
    assert same.sampling.chat_template_kwargs == '{"a":2,"b":1}'
    (plain,) = read(temperature=0.0, max_tokens=9).list_policies()
    assert changed.sampling == plain.sampling
    assert (changed.name, changed.n, changed.system) == ("x", 1, None)


def test_the_samples_of_a_round_are_those_of_all_policies() -> None:
    assert read(n=3, policies=TWO).count_samples() == 6
    assert read(policies=[{"model": "a", "n": 1}, {"model": "b", "n": 0}]).count_samples() == 1
    pool = read(n=3, policies=[{"model": "a", "weight": 1}, {"model": "b", "weight": 2}])
    assert pool.count_samples() == 3
    wanted = read(n=3, policies=TWO, target_pairs=1)
    assert wanted.max_samples() == 24


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"policies": [TWO[0], TWO[0]]}, "several are called strong; give each a `name`"),
        (
            {"policies": [TWO[0], {"model": "weak", "name": "strong", "n": 9}]},
            "several are called strong",
        ),
        (
            {"policies": [TWO[0], {"model": "strong", "name": "again", "temperature": 1}]},
            "'strong' and 'again' have the same model and the same settings",
        ),
        (
            {"policies": [TWO[0], {"model": "strong", "name": "more", "n": 9}]},
            "set another seed, or leave one of them out",
        ),
        (
            {"policies": [{"model": "a", "weight": 1}, {"model": "b"}]},
            "others have none (b); set `weight` of all, or of none",
        ),
        (
            {"policies": [{"model": "a", "weight": 1, "n": 2}]},
            "n beside weights (a); the pool draws generate.n samples per prompt",
        ),
        (
            {"policies": [{"model": "a", "weight": 0}, {"model": "b", "weight": 0}]},
            "the weights sum to 0; set one of them above 0",
        ),
        ({"policies": [{"model": "a", "weight": -1}]}, "policies.0.weight: Input should be"),
        ({"policies": [{"model": "a", "weight": float("inf")}]}, "policies.0.weight: Input"),
        ({"policies": [{**each, "n": 0} for each in TWO]}, "each has n: 0"),
        ({"n": 0, "policies": TWO}, "each has n: 0, so none draws a sample; set n of one above 0"),
        ({"n": 0, "policies": [{"model": "a", "weight": 1}]}, "set generate.n above 0"),
        ({"policies": []}, "at least 1 item"),
        ({"policies": [{"name": "a"}]}, "policies.0.model: Field required"),
        ({"policies": [{"model": "a", "tempreature": 1}]}, "valid here: chat_template_kwargs, "),
        ({"policies": TWO, "target_pairs": 3, "max_n": 7}, "max_n: 7 is less than n: 8"),
    ],
)
def test_what_can_not_be_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**settings)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.3}, {"top_p": 0.9}, {"top_k": 1}, {"max_tokens": 9}, {"stop": ["x"]},
        {"seed": 1}, {"system": "Be rude."}, {"chat_template_kwargs": {"thinking": True}},
    ],
    ids=str,
)  # fmt: skip
def test_one_model_under_two_names_may_be_two_policies(change: dict[str, Any]) -> None:
    policies = [{"model": "a"}, {"model": "a", "name": "b", **change}]
    assert len(read(policies=policies).list_policies()) == 2


def test_two_names_of_one_model_are_known_by_its_fingerprint() -> None:
    policies = read(policies=TWO).list_policies()
    assert find_equals(policies) is None
    assert find_equals(policies, {"strong": "f", "weak": "g"}) is None
    assert find_equals(policies, {"strong": "f", "weak": "f"}) == ("strong", "weak")
