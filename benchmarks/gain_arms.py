"""The arms of gain.py: the same samples, judged, paired and filtered in six ways, as params."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = ROOT / "demo" / "data" / "constrained.jsonl"
SPLITS = ("train", "heldout")
PREFERENCES = ROOT / "demo" / "data" / "preferences.jsonl.gz"


@dataclass(frozen=True)
class Size:
    """How large an experiment is.

    Attributes:
        prompts: The prompts to train on and those held out; None: all.
        pairs: The pairs of an arm.
        n: The samples of a prompt that pairs are made of.
        n_heldout: The samples of a held-out prompt by each policy.
        max_tokens: The longest response.
        steps: The steps of a training, of `batch` pairs each.
        rate: Its highest learning rate.
        preferences: The rows of the demo's preferences that the reward head is trained on; None:
            all.
        measured: The pairs of an arm whose log-probabilities are taken, before and after.
    """

    prompts: tuple[int, int] | None = None
    pairs: int = 160
    n: int = 6
    n_heldout: int = 3
    max_tokens: int = 64
    steps: int = 20
    batch: int = 8
    rate: float = 1e-4
    preferences: int | None = None
    measured: int = 64


@dataclass(frozen=True)
class Setting:
    """Where an experiment takes place, and with what.

    Attributes:
        work: The folder of everything that it writes.
        model: The folder of the policy to begin with.
        dtype: The type of the numbers that it samples and trains with. Log-probabilities that are
            compared are taken in float32.
    """

    work: Path
    model: str
    dtype: str
    size: Size


VERIFIER = {"kind": "constraints", "partial": True}
ARMS: dict[str, str] = {
    "best_worst": "best against worst by one judge: a reward head trained on people's choices",
    "verifier": "best against worst by the verifier",
    "verifier_filtered": "best against worst by the verifier, with the filters of prefdata",
    "prefdata": "consensus of verifier, reward head and the policy's own likelihood; best against "
    "worst; without what is alike or of the highest CHES; a diverse choice of what is left",
    "highest_ches": "the same consensus; the comparisons of the highest CHES",
    "random": "the same consensus; random comparisons",
}
"""What each arm trains on, by its name."""


def read_prompts(split: str | None = None) -> list[dict[str, Any]]:
    """The prompts, of both splits or one: prompt, ground_truth, split, instruction (the number of
    the instruction that several prompts share)."""
    rows = map(json.loads, PROMPTS.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if split in (None, row["split"])]


def write_prompts(setting: Setting, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write prompts as the source called `name`."""
    lines = [json.dumps({k: row[k] for k in ("prompt", "ground_truth")}) for row in rows]
    (setting.work / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_preferences(setting: Setting) -> None:
    """Write what the reward head is trained on."""
    lines = gzip.decompress(PREFERENCES.read_bytes()).splitlines(keepends=True)
    some = b"".join(lines[: setting.size.preferences])
    (setting.work / PREFERENCES.name).write_bytes(gzip.compress(some, mtime=0))


def make_arm(setting: Setting, arm: str) -> dict[str, Any]:
    """The params of an arm: from the samples that all arms share to a dataset of TRL's pairs."""
    head, panel = str(setting.work / "reward_head"), _PANELS.get(arm, _PANEL)
    judges = [{**each, "head": head} if "head" in each else each for each in panel]
    size = setting.size
    return {
        **_make_base(setting, setting.work / "arms" / arm),
        "reward_head": {
            "data": str(setting.work / PREFERENCES.name),
            "model": "embedder",
            "out": head,
        },
        "judge": {"judges": judges},
        "consensus": _MEAN if panel is _PANEL else {"kind": "mean"},
        "ches": {"model": "start"},
        "pair": {"strategy": _make_strategy(arm, size)},
        "filter": {"filters": _make_filters(arm, size)},
        "export": {"formats": [{"kind": "trl"}], "name": f"gain-{arm}", "license": "apache-2.0"},
    }


def make_evaluation(
    setting: Setting, folder: Path, policy: str, source: str, **settings: Any
) -> dict[str, Any]:
    """The params by which a policy is evaluated.

    Args:
        setting: Of the experiment.
        folder: Where its tables go.
        policy: The folder of the policy.
        source: The prompts, as `write_prompts` names them.
        settings: More of the section evaluate.
    """
    params = _make_base(setting, folder)
    params["models"]["policy"] = {**params["models"]["start"], "model": policy}
    evaluate = {
        "policy": "policy",
        "sources": [_name_source(setting, source)],
        "n": setting.size.n_heldout,
        "max_tokens": setting.size.max_tokens,
    }
    return {**params, "evaluate": {**evaluate, **_SAMPLING, **settings}}


_SAMPLING = {"temperature": 0.8, "top_p": 0.95}
_HEAD = {"kind": "embedding_reward", "model": "embedder", "head": ""}
_PANEL = [VERIFIER, _HEAD, {"kind": "mean_logprob", "model": "start"}]
_PANELS = {"best_worst": [_HEAD], "verifier": [VERIFIER], "verifier_filtered": [VERIFIER]}
_FILTERED = ("verifier_filtered", "prefdata")
_MEAN = {"kind": "mean", "min_judgments": 3, "min_confidence": 0.55}


def _make_base(setting: Setting, folder: Path) -> dict[str, Any]:
    return {
        "data": str(folder),
        "memo": str(setting.work / "memo"),
        # The strategies of gain_parts choose among all comparisons at once.
        "buckets": 1,
        "models": {
            "start": {"engine": "transformers", "model": setting.model, "dtype": setting.dtype},
            "embedder": {"engine": "sentence", "model": "minilm"},
        },
        "ingest": {
            "sources": [_name_source(setting, "train")],
            "test_fraction": 0,
        },
        "generate": {
            "model": "start",
            "n": setting.size.n,
            "max_tokens": setting.size.max_tokens,
            **_SAMPLING,
        },
        "judge": {"judges": [VERIFIER]},
        "consensus": {"kind": "mean"},
        "pair": {"strategy": {"kind": "best_worst"}},
    }


def _name_source(setting: Setting, name: str) -> dict[str, str]:
    return {"path": str(setting.work / f"{name}.jsonl")}


def _make_strategy(arm: str, size: Size) -> dict[str, Any]:
    if arm == "highest_ches":
        return {"kind": "highest_ches", "pairs": size.pairs}
    if arm == "random":
        return {"kind": "random_pairs", "pairs": size.pairs}
    return {"kind": "best_worst"}


def _make_filters(arm: str, size: Size) -> list[dict[str, Any]]:
    if arm in _FILTERED:
        return [
            {"kind": "near_identical", "max_similarity": 0.9},
            {"kind": "near_duplicates", "max_similarity": 0.8},
            {"kind": "ches", "model": "start", "measure": "ches_normalized", "max_quantile": 0.9},
            {"kind": "quality_diversity", "budget": size.pairs, "over": "pairs"},
        ]
    return [{"kind": "limit", "pairs": size.pairs}]
