"""The vLLM engine's settings, without vLLM: what is refused, and what counts as another model."""

from __future__ import annotations

import json
from importlib import metadata, util
from pathlib import Path
from typing import Any

import pytest

from prefdata.engines.base import LoglikelihoodSettings, Options, Sampling, Settings
from prefdata.engines.registry import ENGINES
from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.vllm import start as vllm_start
from prefdata.engines.vllm.config import VllmConfig, VllmOptions, check_adapter, fingerprint_vllm
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.errors import ConfigError, ModelError

POLICY = Path(__file__).resolve().parents[2] / "demo" / "policy"


def fingerprint(options: dict[str, Any] | None = None, **settings: Any) -> str:
    config = VllmConfig(model=str(POLICY), options=options or {}, **settings)
    return fingerprint_vllm("policy", config)


OTHER: dict[str, tuple[Any, bool]] = {
    "runner": ("hidden_sums", False),
    "max_num_seqs": (7, False),
    "max_num_batched_tokens": (4096, False),
    "max_model_len": (512, True),
    "gpu_memory_utilization": (0.5, False),
    "kv_cache_memory_bytes": (1 << 30, False),
    "cpu_offload_gb": (2.0, False),
    "tensor_parallel_size": (2, False),
    "quantization": ("fp8", True),
    "enforce_eager": (True, False),
    "enable_prefix_caching": (False, False),
    "own_process": (True, False),
    "reasoning_parser": ("deepseek_r1", False),
}


@pytest.mark.parametrize(
    "option", [n for n in VllmOptions.model_fields if n not in ("lora", "engine_args")]
)
def test_options_that_change_responses_count_and_the_rest_do_not(option: str) -> None:
    value, counts = OTHER[option]
    assert (fingerprint({option: value}) != fingerprint()) == counts


@pytest.mark.parametrize(
    ("argument", "value", "counts"),
    [
        ("block_size", 64, False),
        ("pipeline_parallel_size", 2, False),
        ("enable_chunked_prefill", True, False),
        ("kv_cache_dtype", "fp8", True),
        ("hf_overrides", {"rope_theta": 5}, True),
        ("speculative_config", {"method": "ngram"}, True),
        ("unheard_of", 1, True),
    ],
)
def test_other_arguments_count_unless_they_are_known_not_to(
    argument: str, value: Any, counts: bool
) -> None:
    found = fingerprint({"engine_args": {argument: value}})
    assert (found != fingerprint()) == counts


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"dtype": "bfloat16"}, True),
        ({"max_batch_tokens": 7}, False),
        ({"max_batch_rows": 7}, False),
    ],
    ids=["dtype", "tokens", "rows"],
)
def test_settings_of_the_model(settings: dict[str, Any], counts: bool) -> None:
    assert (fingerprint(**settings) != fingerprint()) == counts


def test_it_is_another_engine_than_transformers() -> None:
    from prefdata.engines.fingerprint import fingerprint_model

    assert fingerprint_model("p", TransformersConfig(model=str(POLICY))) != fingerprint()


def checked(**settings: Any) -> None:
    given = {"engine": "vllm", "model": str(POLICY), **settings}
    config = ENGINES.parse(given, "models.policy")
    assert isinstance(config, VllmConfig)
    check_adapter("policy", config.options)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES"),
        ({"options": {"max_seqs": 5}}, "max_num_seqs"),
        ({"options": {"gpu_memory_utilization": 1.5}}, "gpu_memory_utilization"),
        ({"options": {"runner": "pooling"}}, "hidden_sums"),
        (
            {"options": {"engine_args": {"dtype": "float16"}}},
            "options.engine_args: Value error, dtype is set by",
        ),
        ({"options": {"engine_args": {"max_num_seqs": 5}}}, "one of `options`"),
    ],
    ids=["device", "unknown", "range", "runner", "reserved", "an own option"],
)
def test_what_is_wrong_is_said_with_what_is_right(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(**settings)
    assert said in str(caught.value)


def test_an_adapter_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not an adapter folder"):
        checked(options={"lora": str(tmp_path)})
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 12}))
    checked(options={"lora": str(tmp_path)})
    assert vllm_start._read_lora_rank(str(tmp_path)) == 16
    with pytest.raises(ConfigError, match="merge_and_unload"):
        checked(options={"lora": str(tmp_path), "runner": "hidden_sums"})


def test_without_vllm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="not installed") as caught:
        ENGINES.load("policy", VllmConfig(model=str(POLICY)))
    assert "prefdata[vllm]" in caught.value.remedy


@pytest.mark.parametrize("version", ["0.9.2", "0.33.0", "1.0.0"])
def test_a_version_that_was_not_tested_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", lambda name: version)
    with pytest.raises(ModelError, match=rf"vLLM {version} is installed") as caught:
        vllm_start.check_installed("policy")
    assert all(f in str(caught.value) for f in vllm_start.SUPPORTED)


@pytest.mark.parametrize("version", ["0.32.0", "0.32.1", "0.32.1.dev3+g12ab", "0.32.0rc1"])
def test_a_version_that_was_tested_is_not(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", lambda name: version)
    vllm_start.check_installed("policy")


def test_the_extra_has_the_tested_range(root: Path) -> None:
    low, high = vllm_start.SUPPORTED
    assert f'"vllm>={low},<{high}"' in (root / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("runner", "operation", "settings", "said"),
    [
        ("generate", "generate", None, None),
        ("generate", "loglikelihood", LoglikelihoodSettings(), None),
        ("generate", "choose", Options(options=("A", "B")), None),
        ("generate", "hidden_sums", None, "options.runner hidden_sums"),
        ("generate", "embed", None, "options.runner embed"),
        ("hidden_sums", "hidden_sums", None, None),
        ("hidden_sums", "generate", None, "options.runner generate"),
        ("embed", "embed", None, None),
        ("generate", "generate", Sampling(temperature=2.5), "temperatures up to 2"),
    ],
)
def test_what_it_was_not_loaded_for_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    runner: str,
    operation: Any,
    settings: Settings | None,
    said: str | None,
) -> None:
    monkeypatch.setattr(vllm_start, "check_installed", lambda name: None)
    monkeypatch.setattr(vllm_start, "explain_missing_device", lambda: None)
    config = VllmConfig(model=str(POLICY), options={"runner": runner})
    found = VllmEngine("policy", config).refusal(operation, settings)
    assert (found is None) if said is None else (said in (found or ""))
