"""Settings of the vLLM engine, and which of them change the responses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import orjson
from pydantic import Field, field_validator, model_validator

from prefdata.engines.config import EngineOptions, LocalConfig
from prefdata.engines.fingerprint import fingerprint_model, list_digests
from prefdata.engines.model_files import CONVERT, check_weights
from prefdata.errors import ModelError
from prefdata.parts.numbers import NUMBER, Count, JsonObject, Share, Tokens

Runner = Literal["generate", "hidden_sums", "embed"]

_COUNTING = ("quantization", "max_model_len")
"""Options that change the responses; `lora` does too, by its bytes."""

_RESERVED = (
    "model",
    "tokenizer",
    "revision",
    "trust_remote_code",
    "dtype",
    "runner",
    "convert",
    "pooler_config",
    "logprobs_mode",
    "enable_lora",
    "disable_log_stats",
)
"""vLLM's arguments that the engine sets itself."""

_PICKLES = ("pt", "npcache", "auto", "hf")
"""The load formats that unpickle, some where a model has no safetensors."""

_NEUTRAL = frozenset(
    "block_size max_num_batched_tokens max_num_scheduled_tokens num_gpu_blocks_override "
    "cpu_offload_gb kv_offloading_size kv_offloading_backend distributed_executor_backend "
    "pipeline_parallel_size data_parallel_size max_parallel_loading_workers load_format "
    "download_dir "
    "enable_chunked_prefill async_scheduling scheduling_policy disable_custom_all_reduce "
    "cudagraph_capture_sizes max_cudagraph_capture_size optimization_level performance_mode "
    "compilation_config attention_backend max_cpu_loras max_lora_rank use_tqdm_on_load "
    "safetensors_load_strategy model_loader_extra_config enable_sleep_mode shutdown_timeout".split()
)
"""vLLM's arguments for memory, speed and parallelism. Any other argument in `engine_args` is taken
to change the responses, so that nothing is served stale."""


class VllmOptions(EngineOptions):
    """The engine's own settings, under vLLM's names."""

    runner: Runner = Field(
        "generate",
        description="What the model is loaded for; generate includes loglikelihood and choose.",
    )
    max_num_seqs: Count | None = Field(
        None, description="The most sequences that run at once.", examples=[7]
    )
    max_num_batched_tokens: Count | None = Field(
        None, description="The most tokens in a step.", examples=[4096]
    )
    max_model_len: Tokens | None = Field(
        None,
        description="The longest prompt and response together, in tokens.",
        examples=[512],
    )
    gpu_memory_utilization: Share | None = Field(
        None, examples=[0.5], description="The share of the GPU's memory to take."
    )
    kv_cache_memory_bytes: Annotated[int, Field(gt=0, le=2**50), NUMBER] | None = Field(
        None,
        description="The size of the KV cache in bytes, instead of a share of the memory.",
        examples=[1 << 30],
    )
    cpu_offload_gb: Annotated[float, Field(ge=0, le=1_000_000), NUMBER] | None = Field(
        None,
        description="Gigabytes of weights to keep in host memory.",
        examples=[2.0],
    )
    tensor_parallel_size: Annotated[int, Field(gt=0, le=1_024), NUMBER] | None = Field(
        None, examples=[2], description="The number of GPUs that share the model."
    )
    quantization: str | None = Field(
        None,
        examples=["fp8"],
        description="How vLLM quantises the weights; part of the fingerprint.",
    )
    lora: str | None = Field(
        None, description="The folder of a LoRA adapter.", examples=["an/adapter"]
    )
    enforce_eager: bool | None = Field(
        None, examples=[True], description="Run without CUDA graphs: less memory, slower."
    )
    enable_prefix_caching: bool | None = Field(
        None,
        description="Reuse the KV cache of shared prefixes; null: if vLLM can with the model.",
        examples=[False],
    )
    own_process: bool | None = Field(
        None,
        description="Run vLLM's core in a process of its own; null: on a GPU only.",
        examples=[True],
    )
    reasoning_parser: str | None = Field(
        None,
        description="vLLM's parser that takes thoughts and response apart, instead of the marks "
        "that `thoughts` names. Another one asks nothing again.",
        examples=["deepseek_r1"],
    )
    engine_args: JsonObject = Field(
        default_factory=dict,
        description="Any other arguments of vLLM.",
        examples=[{"kv_cache_dtype": "fp8"}],
    )

    @field_validator("engine_args")
    @classmethod
    def _check_engine_args(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        own = {*_RESERVED, *cls.model_fields} - {"engine_args"}
        reserved = sorted(own & arguments.keys())
        if reserved:
            raise ValueError(
                f"{', '.join(reserved)} is set by prefdata; leave it out: revision, dtype and "
                "trust_remote_code are settings of the model, what else can be set is one of "
                "`options`"
            )
        if arguments.get("load_format") in _PICKLES:
            raise ValueError(f"load_format {arguments['load_format']!r} unpickles. {CONVERT}")
        return arguments

    @model_validator(mode="after")
    def _check_lora(self) -> VllmOptions:
        if self.lora is not None and self.runner != "generate":
            raise ValueError(
                f"lora with runner {self.runner!r}: vLLM applies adapters only where it generates; "
                "merge the adapter into the model (peft's `merge_and_unload`) and name the result"
            )
        return self

    def arguments(self) -> dict[str, Any]:
        """The options that are passed to vLLM unchanged."""
        ours = {"runner", "lora", "own_process", "reasoning_parser", "engine_args"}
        return {**self.model_dump(exclude=ours, exclude_none=True), **self.engine_args}


class VllmConfig(LocalConfig):
    """A model that vLLM runs in this process, on GPUs or with vLLM's CPU build."""

    engine: Literal["vllm"] = "vllm"
    dtype: str = Field("auto", description="As vLLM names it.", examples=["bfloat16"])
    device: Literal["auto"] = Field("auto", description="CUDA_VISIBLE_DEVICES names the devices.")
    options: VllmOptions = VllmOptions()

    engine_class = "prefdata.engines.vllm.engine:VllmEngine"
    example: ClassVar[Mapping[str, Any]] = {"model": "Qwen/Qwen2.5-7B-Instruct"}
    asks_again = LocalConfig.asks_again | {
        "options.lora",
        "options.engine_args",
        *(f"options.{name}" for name in _COUNTING),
    }

    @field_validator("device", mode="before")
    @classmethod
    def _check_device(cls, device: Any) -> Any:
        if device != "auto":
            raise ValueError(
                f"{device!r}; vLLM takes the devices that it was built for and that "
                "CUDA_VISIBLE_DEVICES names; leave `device` out, and set CUDA_VISIBLE_DEVICES "
                "where the command runs"
            )
        return device


def check_adapter(name: str, options: VllmOptions) -> None:
    """Check that `lora` names an adapter's folder, without pickles. Raises ModelError."""
    if options.lora is not None and not (Path(options.lora) / "adapter_config.json").is_file():
        raise ModelError(
            f"models.{name}.options.lora: {options.lora} is not an adapter folder: no "
            "adapter_config.json in it",
            "Name a folder that peft's `save_pretrained` wrote.",
        )
    if options.lora is not None:
        check_weights(name, Path(options.lora))


def fingerprint_vllm(name: str, config: VllmConfig) -> str:
    """A digest of the model, the adapter's bytes and every setting that changes the responses, as
    32 hex characters."""
    options = config.options
    counting = {
        key: value
        for key, value in options.arguments().items()
        if key in _COUNTING or (key in options.engine_args and key not in _NEUTRAL)
    }
    state = hashlib.sha256(fingerprint_model(name, config).encode())
    state.update(orjson.dumps(counting, option=orjson.OPT_SORT_KEYS))
    if options.lora is not None:
        state.update(b"".join(list_digests(Path(options.lora))))
    return state.hexdigest()[:32]
