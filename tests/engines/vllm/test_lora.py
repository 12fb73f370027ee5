"""A LoRA adapter responds as the merged model does, and counts by its bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prefdata.engines.base import LoglikelihoodSettings, Options, Sampling
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.messages.columns import MESSAGES

pytestmark = pytest.mark.vllm

POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the adapter's folder, the folder of the model it was merged into)."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("lora")
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(POLICY, dtype=torch.float32)
    config = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"])
    model = peft.get_peft_model(base, config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(folder / "adapter")
    shutil.copytree(POLICY, folder / "merged")
    os.remove(folder / "merged" / "model.safetensors")
    model.merge_and_unload().save_pretrained(folder / "merged")
    return folder / "adapter", folder / "merged"


def test_an_adapter_responds_as_the_merged_model(
    made: Callable[..., VllmEngine],
    policy: VllmEngine,
    adapter: tuple[Path, Path],
) -> None:
    ours = made(lora=str(adapter[0]))
    merged = TransformersEngine(
        "policy", TransformersConfig(model=str(adapter[1]), dtype="float32")
    )
    merged.start()
    texts = ["What is 12 + 7?", "Tell me about the river.", "Why is the sky blue?"]
    rows = pl.DataFrame(
        {
            "key": [i.to_bytes(16, "little") for i in range(3)],
            "messages": [[{"role": "user", "content": text}] for text in texts],
            "sample_index": [0] * 3,
        },
        schema_overrides={"messages": MESSAGES},
    )
    settings, options = Sampling(temperature=0, max_tokens=16), Options(options=("A", "B"))
    responses, chosen = [], []
    for engine in (ours, merged, policy):
        responses.append(pl.concat(list(engine.generate(rows, settings))).sort("key"))
        weighed = pl.concat(list(engine.choose(rows, options))).sort("key")
        chosen.append(np.array(weighed["logprobs"].to_list()))
    assert responses[0]["text"].equals(responses[1]["text"])
    logprobs = [each["cumulative_logprob"].to_numpy() for each in responses]
    assert np.allclose(logprobs[0], logprobs[1], atol=1e-3)
    assert np.allclose(chosen[0], chosen[1], atol=1e-3)
    assert (np.abs(chosen[0] - chosen[2]) > 0.01).all()


def test_loglikelihood_with_an_adapter_are_refused(
    made: Callable[..., VllmEngine], adapter: tuple[Path, Path]
) -> None:
    engine = made(lora=str(adapter[0]))
    assert "merge the adapter" in (engine.refusal("loglikelihood", LoglikelihoodSettings()) or "")
    rows = pl.DataFrame({"key": [bytes(16)], "messages": [[{"role": "user", "content": "Why?"}]]})
    (got,) = engine.choose(rows, Options(options=("the first one", "none of them")))
    assert got["error"][0].startswith("refused: ")


def test_its_bytes_count_and_where_it_lies_does_not(
    adapter: tuple[Path, Path], tmp_path: Path, policy: VllmEngine
) -> None:
    def fingerprint(folder: Path) -> str:
        options = policy.config.options.model_copy(update={"lora": str(folder)})
        config = policy.config.model_copy(update={"options": options})
        return VllmEngine("policy", config).fingerprint

    moved = tmp_path / "moved"
    shutil.copytree(adapter[0], moved)
    assert fingerprint(moved) == fingerprint(adapter[0]) != policy.fingerprint
    weights = moved / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert fingerprint(moved) != fingerprint(adapter[0])
