"""Loading a causal language model: choosing device and dtype, and explaining failures."""

from __future__ import annotations

import os
from typing import Any

from prefdata.engines.chat import load_tokenizer
from prefdata.engines.config import LocalConfig
from prefdata.engines.model_files import find_remedy, name_source
from prefdata.errors import ModelError

EXTRA = "Install the extra: pip install prefdata[transformers]"


def resolve_device(name: str, config: LocalConfig) -> LocalConfig:
    """Replace the device `auto` by the device in use, and on the CPU the dtype `auto` by float32.

    Responses in float32 and in bfloat16 differ, so they must not share the fingerprint of `auto`.
    """
    try:
        import torch
    except ImportError as error:
        raise ModelError(f"model {name}: {error}", EXTRA) from error
    if config.device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
        config = config.model_copy(update={"device": device})
    if config.dtype == "auto" and config.device == "cpu":
        # bfloat16 products are several times slower than float32 ones on most CPUs.
        config = config.model_copy(update={"dtype": "float32"})
    return config


def explain_missing_device(device: str) -> str | None:
    """Why torch can't use the device; None if it can."""
    import torch

    kind, _, index = device.partition(":")
    if kind == "cpu":
        return None
    if kind == "cuda" and (not index or index.isdecimal()):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count > int(index or 0):
            return None
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        limit = "" if visible is None else f", CUDA_VISIBLE_DEVICES={visible!r}"
        return f"device: {device}, but torch {torch.__version__} sees {count} CUDA devices{limit}"
    if kind == "mps" and not index:
        return None if torch.backends.mps.is_available() else "device: mps, but torch sees none"
    return f"device: {device!r} is unknown; known: auto, cpu, cuda, cuda:N, mps"


def load_causal(name: str, config: LocalConfig) -> tuple[Any, Any]:
    """(model, tokenizer), the model on its device. Raises ModelError with the setting to change."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise ModelError(f"model {name}: {error}", EXTRA) from error

    from prefdata.engines.transformers.pieces import is_out_of_memory

    tokenizer = load_tokenizer(name, config)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            config.model, **name_source(config), use_safetensors=True, dtype=config.dtype
        ).eval()
        model.to(config.device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        full = isinstance(error, RuntimeError) and is_out_of_memory(error)
        raise ModelError(
            f"models.{name}: {config.model} can't be loaded on {config.device}: {error}",
            f"It does not fit: free the memory of {config.device}, or name a smaller `model`, "
            "another `device`, or `dtype: bfloat16`."
            if full
            else find_remedy(
                name,
                error,
                "Check `model`, `dtype` and `device`; a folder must hold config.json, weights and "
                "tokenizer.",
            ),
        ) from error
    return model, tokenizer
