"""Reward models: the engine against plain forward passes, the judge by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from judges.panels import asking, build, by_text, candidates

from prefdata.consensus.registry import CONSENSUSES
from prefdata.engines.base import Engine, Settings, results
from prefdata.engines.registry import ENGINES
from prefdata.errors import ConfigError, ModelError

POLICY = Path(__file__).parents[3] / "demo" / "policy"


class Rewards(Engine):
    """Rewards looked up by the completion."""

    def __init__(self, name: str, values: dict[str, list[float] | None]) -> None:
        self.name = self.fingerprint = name
        self.values = values

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        found = [self.values[text] for text in rows["completion"]]
        errors = [None if value else "too_long: 9 tokens" for value in found]
        yield results("reward", rows["key"], rewards=found, error=errors)


def test_an_ensemble_says_its_mean_and_its_spread() -> None:
    given_ = candidates({"Why?": ["good", "bad"]})
    models = {
        "one": Rewards("one", {"good": [3.0], "bad": [1.0]}),
        "two": Rewards("two", {"good": [2.0], "bad": [3.0]}),
    }
    judge = build("reward_model", models=["one", "two"], temperature=0.5)
    found = judge.judge(given_, asking(**models))
    # Differences 2 and -1: mean 0.5, deviation 1.5; 0.5 over 0.5 is one unit of log-odds.
    assert by_text(found, given_)["Why?", "good", "bad"] == pytest.approx(1 / (1 + math.exp(-1)))
    trace = found["trace"][0]
    assert trace in (
        "a − b: 2.0, -1.0, mean 0.5, standard deviation 1.5",
        "a − b: -2.0, 1.0, mean -0.5, standard deviation 1.5",
    )
    assert sorted(found.select("reward_a", "reward_b").row(0)) == [2.0, 2.5]
    # In units of the reward, whatever the temperature.
    assert found["spread"].to_list() == [1.5]


def test_the_spread_is_that_of_the_margins_and_has_no_side() -> None:
    """Members whose rewards lie far apart, but not their margins, agree."""
    models = {
        "one": Rewards("one", {"good": [3.0], "bad": [1.0], "odd": [0.0]}),
        "two": Rewards("two", {"good": [103.0], "bad": [101.0], "odd": [103.0]}),
        "three": Rewards("three", {"good": [-97.0], "bad": [-99.0], "odd": [-94.0]}),
    }
    judge = build("reward_model", models=list(models))
    for salt in range(4):
        given_ = candidates({"Why?": ["good", "bad", "odd"]}, salt)
        text = dict(given_.responses.select("response_id", "text").iter_rows())
        found = {
            frozenset((text[a], text[b])): spread
            for a, b, spread in judge.judge(given_, asking(**models))
            .select("response_a", "response_b", "spread")
            .iter_rows()
        }
        # good - odd: 3, 0, -3; bad - odd: 1, -2, -5.
        assert found == {
            frozenset(("good", "bad")): 0.0,
            frozenset(("good", "odd")): pytest.approx(math.sqrt(6)),
            frozenset(("bad", "odd")): pytest.approx(math.sqrt(6)),
        }


def test_one_model_is_no_ensemble() -> None:
    given_ = candidates({"Why?": ["good", "bad"]})
    models = {"one": Rewards("one", {"good": [3.0], "bad": [1.0]})}
    found = build("reward_model", models=["one"]).judge(given_, asking(**models))
    assert (found["spread"].to_list(), found["trace"].to_list()) == ([None], [None])


def test_named_heads_are_judgments_of_their_own_that_a_consensus_weighs() -> None:
    given_ = candidates({"Why?": ["good", "bad"]})
    models = {
        "one": Rewards("one", {"good": [1.0, 4.0], "bad": [2.0, 0.0]}),
        "two": Rewards("two", {"good": [3.0, 2.0], "bad": [2.0, 0.0]}),
    }
    heads = {"models": ["one", "two"], "heads": ["helpfulness", "verbosity"], "weights": [1, -0.5]}
    judge = build("reward_model", **heads, apart=True)
    found = judge.judge_all(given_, asking(**models))
    by_head = {
        dimension: by_text(rows, given_)["Why?", "good", "bad"]
        for (dimension,), rows in found.group_by("dimension")
    }
    # Differences -1 and 1 of the one head; of the other, at its weight, -2 and -1.
    assert by_head == {
        "helpfulness": pytest.approx(0.5),
        "verbosity": pytest.approx(1 / (1 + math.exp(1.5))),
    }
    assert dict(found.select("dimension", "spread").iter_rows()) == {
        "helpfulness": 1.0,
        "verbosity": 0.5,
    }
    weighing = CONSENSUSES.parse(
        {"kind": "weighted_sum", "weights": {"helpfulness": 1, "verbosity": 3}}
    )
    weighing.setup()
    label = by_text(weighing.label(found, given_.prompts).labels, given_)["Why?", "good", "bad"]
    assert label == pytest.approx(1 / (1 + math.exp(3 * 1.5 / 4)))
    joined = build("reward_model", **heads).judge_all(given_, asking(**models))
    # The weighted sums' differences are -3 and 0.
    assert joined.select("dimension", "spread").rows() == [("helpfulness", 1.5)]
    assert by_text(joined, given_)["Why?", "good", "bad"] == pytest.approx(1 / (1 + math.exp(1.5)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"heads": ["wit", "wit"]}, "name each once"),
        ({"heads": ["wit"], "weights": [1, 2]}, "2 for 1 heads"),
        ({"apart": True}, "name the heads"),
        ({"apart": True, "heads": ["wit"], "dimension": "care"}, "leave it out"),
    ],
)
def test_heads_that_do_not_fit_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build("reward_model", models=["one"], **settings)


def test_attributes_are_weighed() -> None:
    given_ = candidates({"Why?": ["good", "bad"]})
    models = {"one": Rewards("one", {"good": [1.0, 4.0], "bad": [2.0, 0.0]})}
    judge = build("reward_model", models=["one"], weights=[1, 0.5])
    found = judge.judge(given_, asking(**models))
    assert sorted(found.select("reward_a", "reward_b").row(0)) == [2.0, 3.0]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "weights: 1 for the 2 outputs of one"),
        ({"weights": [1, 2, 3]}, "weights: 3 for the 2 outputs"),
        ({"heads": ["wit"]}, "heads: 1 for the 2 outputs"),
    ]
    for settings, says in wrong:
        judge = build("reward_model", models=["one"], **settings)
        with pytest.raises(ConfigError, match=says):
            judge.judge(given_, asking(**models))


def test_a_response_that_one_of_the_models_does_not_take_is_unscored() -> None:
    given_ = candidates({"Why?": ["good", "bad"]})
    models = {
        "one": Rewards("one", {"good": [3.0], "bad": [1.0]}),
        "two": Rewards("two", {"good": [3.0], "bad": None}),
    }
    judge = build("reward_model", models=["one", "two"])
    (row,) = judge.judge(given_, asking(**models)).to_dicts()
    assert (row["preference"], row["trace"]) == (None, None)
    assert row["unscored"] == "too_long: 9 tokens"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier of three outputs with random weights, and the demo's tokenizer."""
    torch = pytest.importorskip("torch", reason="the extra [transformers] is not installed")
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(POLICY)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        num_labels=3,
        initializer_range=0.5,
    )
    path = tmp_path_factory.mktemp("reward")
    LlamaForSequenceClassification(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def engine(folder: Path, **changes: int) -> Engine:
    params = {"engine": "reward_model", "model": str(folder), "device": "cpu", "dtype": "float32"}
    return ENGINES.load("rm", ENGINES.parse({**params, **changes}, "models.rm"))


@pytest.mark.slow
def test_rewards_are_those_of_a_plain_forward_pass(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = ["Because.", "It is so because of the sun and the moon.", "No."]
    messages = [{"role": "user", "content": "Why is it so?"}]
    wanted = []
    for text in texts:
        turns = [*messages, {"role": "assistant", "content": text}]
        rendered = tokenizer.apply_chat_template(turns, tokenize=False)
        ids = tokenizer(rendered, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = model.model(ids).last_hidden_state
            # The head reads the last token that is no padding.
            last = int((ids[0] != tokenizer.pad_token_id).nonzero()[-1])
            wanted.append(model.score(states[0, last]).tolist())
    rows = pl.DataFrame(
        {
            "key": [bytes([n]) * 16 for n in range(4)],
            "messages": [messages] * 4,
            "completion": [*texts, "long " * 100],
        }
    )
    for changes in ({}, {"max_batch_tokens": 1}):
        reward = engine(folder, **changes)
        reward.start()
        found = pl.concat(list(reward.reward(rows, Settings()))).sort("key")
        assert found["rewards"].to_list()[:3] == [pytest.approx(w, abs=1e-4) for w in wanted]
        assert found["error"][3].startswith("too_long: ")
        assert found["n_prompt_tokens"][1] > found["n_prompt_tokens"][0] > 0
        reward.close()


@pytest.mark.slow
def test_real_text_by_a_model_of_three_attributes(folder: Path) -> None:
    given_ = candidates({"Why is the sky blue?": ["Air scatters blue light.", "It is the sea."]})
    settings = {"models": ["rm"], "weights": [1, 0, -1]}
    judge = build("reward_model", **settings)
    found = judge.judge(given_, asking(rm=engine(folder)))
    assert found["preference"].is_between(0, 1).all()
    assert found["reward_a"][0] != found["reward_b"][0]
    assert judge.judge(given_, asking(rm=engine(folder, max_batch_rows=1))).equals(found)


@pytest.mark.slow
def test_a_model_without_a_trained_head_is_refused() -> None:
    """Its head would be made up at random."""
    pytest.importorskip("torch", reason="the extra [transformers] is not installed")
    with pytest.raises(ModelError, match=r"no reward model: it has no weights for score.weight"):
        engine(POLICY).start()
