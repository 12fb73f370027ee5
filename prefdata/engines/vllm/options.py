"""What `options` of a model may say for the vLLM engine, and which of it changes the responses."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from prefdata.engines.config import ModelParams
from prefdata.engines.fingerprint import file_digests, model_fingerprint
from prefdata.errors import ConfigError, ModelError

Runner = Literal["generate", "hidden_sums", "embed"]

ANSWERING = ("quantization", "max_model_len")
"""Settings that change what a model answers; `lora` does too, by its bytes."""

RESERVED = (
    "model",
    "tokenizer",
    "revision",
    "dtype",
    "runner",
    "convert",
    "pooler_config",
    "logprobs_mode",
    "enable_lora",
    "disable_log_stats",
)
"""Arguments of vLLM's that the engine sets itself."""

NEUTRAL = frozenset(
    "block_size max_num_batched_tokens max_num_scheduled_tokens num_gpu_blocks_override "
    "cpu_offload_gb kv_offloading_size kv_offloading_backend distributed_executor_backend "
    "pipeline_parallel_size data_parallel_size max_parallel_loading_workers load_format "
    "download_dir "
    "enable_chunked_prefill async_scheduling scheduling_policy disable_custom_all_reduce "
    "cudagraph_capture_sizes max_cudagraph_capture_size optimization_level performance_mode "
    "compilation_config attention_backend max_cpu_loras max_lora_rank use_tqdm_on_load "
    "safetensors_load_strategy model_loader_extra_config enable_sleep_mode shutdown_timeout".split()
)
"""Arguments of vLLM's that are about memory, speed and parallelism. Every other one that
`engine_args` names counts as changing the responses: nothing may be served stale."""


class VllmOptions(BaseModel):
    """The engine's own settings, under vLLM's names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runner: Runner = Field("generate", description="generate also scores and chooses.")
    max_num_seqs: int | None = Field(None, gt=0, description="Sequences that run at once.")
    max_num_batched_tokens: int | None = Field(None, gt=0, description="Tokens a step.")
    max_model_len: int | None = Field(None, gt=0, description="Prompt and response together.")
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    kv_cache_memory_bytes: int | None = Field(None, gt=0, description="Instead of a share.")
    cpu_offload_gb: float | None = Field(None, ge=0, description="Weights kept in host memory.")
    tensor_parallel_size: int | None = Field(None, gt=0)
    quantization: str | None = None
    lora: str | None = Field(None, description="The folder of a LoRA adapter.")
    enforce_eager: bool | None = None
    enable_prefix_caching: bool | None = Field(
        None, description="null: on, where vLLM can do it with the model."
    )
    own_process: bool | None = Field(
        None, description="vLLM's core in a process of its own; null: on a GPU only."
    )
    engine_args: dict[str, Any] = Field(default_factory=dict, description="Any other of vLLM's.")

    def arguments(self) -> dict[str, Any]:
        """What goes to vLLM as it is."""
        ours = {"runner", "lora", "own_process", "engine_args"}
        return {**self.model_dump(exclude=ours, exclude_none=True), **self.engine_args}


def check_options(name: str, params: ModelParams, options: VllmOptions) -> None:
    """Refuse what can be seen to be wrong without vLLM."""
    where = f"models.{name}"
    if params.device != "auto":
        raise ConfigError(
            f"{where}.device: {params.device!r}; vLLM takes the devices that it was built for and "
            "CUDA_VISIBLE_DEVICES names",
            "Leave `device` out, and set CUDA_VISIBLE_DEVICES where the command runs.",
        )
    own = [*RESERVED, *(n for n in VllmOptions.model_fields if n != "engine_args")]
    for argument in options.engine_args:
        if argument in own:
            raise ConfigError(
                f"{where}.options.engine_args.{argument} is set by prefdata",
                f"Leave it out: revision and dtype stand in {where}, what else can be set in "
                f"{where}.options.",
            )
    if options.lora is not None and not (Path(options.lora) / "adapter_config.json").is_file():
        raise ModelError(
            f"{where}.options.lora: {options.lora} is not an adapter folder: no "
            "adapter_config.json in it",
            "Name a folder that peft's `save_pretrained` wrote.",
        )
    if options.lora is not None and options.runner != "generate":
        raise ConfigError(
            f"{where}.options: lora with runner {options.runner!r}; vLLM applies adapters only "
            "where it generates",
            "Merge the adapter into the model (peft's `merge_and_unload`) and name the result.",
        )


def vllm_fingerprint(name: str, params: ModelParams, options: VllmOptions) -> str:
    """32 hex characters over the model, the adapter's bytes and every setting that counts."""
    arguments = options.arguments()
    counting = {
        key: value
        for key, value in arguments.items()
        if key in ANSWERING or (key in options.engine_args and key not in NEUTRAL)
    }
    state = hashlib.sha256(model_fingerprint(name, params).encode())
    state.update(orjson.dumps(counting, option=orjson.OPT_SORT_KEYS))
    if options.lora is not None:
        state.update(b"".join(file_digests(Path(options.lora))))
    return state.hexdigest()[:32]
