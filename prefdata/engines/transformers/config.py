"""Settings of the models that transformers runs in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from prefdata.engines.config import LocalConfig

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class TransformersConfig(LocalConfig):
    """A causal language model, on CPU, CUDA or MPS."""

    engine: Literal["transformers"] = "transformers"
    dtype: Dtype = Field(
        "auto",
        description="auto: float32 on the CPU, the checkpoint's own elsewhere.",
        examples=["bfloat16"],
    )

    engine_class = "prefdata.engines.transformers.engine:TransformersEngine"
    example: ClassVar[Mapping[str, Any]] = {"model": "Qwen/Qwen2.5-0.5B-Instruct"}
