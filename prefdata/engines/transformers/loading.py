"""Loading a causal language model: the device and dtype that are meant, and what can go wrong."""

from __future__ import annotations

import os
from typing import Any

from prefdata.engines.chat import load_tokenizer
from prefdata.engines.config import ModelParams
from prefdata.errors import ConfigError, ModelError

EXTRA = "Install the extra: pip install prefdata[transformers]"
DTYPES = ("auto", "float32", "bfloat16", "float16")


def resolved(name: str, params: ModelParams) -> ModelParams:
    """The same with device and dtype named, as far as they are not the checkpoint's own.

    Responses in float32 and in bfloat16 differ, so `auto` may not stand for both in a fingerprint.
    """
    if params.dtype not in DTYPES:
        raise ConfigError(
            f"models.{name}.dtype: {params.dtype!r} is unknown; known: {', '.join(DTYPES)}"
        )
    try:
        import torch
    except ImportError as error:
        raise ModelError(f"model {name}: {error}", EXTRA) from error
    if params.device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
        params = params.model_copy(update={"device": device})
    if params.dtype == "auto" and params.device == "cpu":
        # bfloat16 products are several times slower than float32 ones on most CPUs.
        params = params.model_copy(update={"dtype": "float32"})
    return params


def missing_device(device: str) -> str | None:
    """Why torch can't use the device, or None: it can."""
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


def load(name: str, params: ModelParams) -> tuple[Any, Any]:
    """(model, tokenizer), the model on its device."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise ModelError(f"model {name}: {error}", EXTRA) from error

    from prefdata.engines.transformers.pieces import out_of_memory

    try:
        tokenizer = load_tokenizer(name, params)
        model = AutoModelForCausalLM.from_pretrained(
            params.model, revision=params.revision, dtype=params.dtype
        ).eval()
        model.to(params.device)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        full = isinstance(error, RuntimeError) and out_of_memory(error)
        raise ModelError(
            f"models.{name}: {params.model} can't be loaded on {params.device}: {error}",
            f"It does not fit: free the memory of {params.device}, or name a smaller `model`, "
            "another `device`, or `dtype: bfloat16`."
            if full
            else "Check `model`, `dtype` and `device`; a folder must hold config.json, weights "
            "and tokenizer.",
        ) from error
    return model, tokenizer
