"""Durable inference: request keys, the memo, and the loop that asks only for what is missing."""

from prefdata.inference.loop import Inference
from prefdata.inference.memo import Memo
from prefdata.inference.progress import Progress
from prefdata.inference.runtime import Runtime
from prefdata.inference.usage import Usage

__all__ = ["Inference", "Memo", "Progress", "Runtime", "Usage"]
