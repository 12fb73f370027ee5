"""What the engines that run a model in this process with transformers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from prefdata.engines.base import Engine, Operation, Settings
from prefdata.engines.call_formats import read_call_format
from prefdata.engines.config import LocalConfig
from prefdata.engines.encoding import Encoder
from prefdata.engines.fingerprint import fingerprint_model
from prefdata.engines.request_encoding import RequestEncoding
from prefdata.engines.transformers.batches import plan_batches
from prefdata.engines.transformers.loading import explain_missing_device, resolve_device
from prefdata.messages.tool_calls import CallFormat

if TYPE_CHECKING:
    from prefdata.engines.transformers.pieces import Grace, Pieces

Result = TypeVar("Result")


class LocalEngine(Engine):
    """A model and its tokenizer, run batch by batch; a batch too large for memory is split."""

    remedy: str
    """What to change if a single request does not fit into memory."""

    def __init__(self, name: str, config: LocalConfig) -> None:
        self.name = name
        self.config = resolve_device(name, config)
        self.fingerprint = fingerprint_model(name, self.config)
        self.encoding = RequestEncoding(name, self.config)
        self.model: Any = None
        self.tokenizer: Any = None
        self.encoder: Any = None
        self.max_length = 0
        self.pieces: dict[Operation, Pieces] = {}

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        return super().refusal(operation, settings) or explain_missing_device(self.config.device)

    def describe_encoding(self, operation: Operation, rows: pl.DataFrame) -> pl.Series:
        return self.encoding.describe(operation, rows)

    def describe_versions(self) -> dict[str, str]:
        described = describe_torch(str(self.model.device), str(self.model.dtype))
        return super().describe_versions() | described

    def split_tokens(self, texts: Sequence[str]) -> list[list[int]]:
        encoded: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False).input_ids
        return encoded

    def call_format(self) -> CallFormat | None:
        return read_call_format(self.config)

    def keep_model(self, model: Any, tokenizer: Any) -> None:
        """Store the model and tokenizer that `start` loaded."""
        self.model, self.tokenizer = model, tokenizer
        self.encoder = Encoder(tokenizer)
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", 0)
        self.max_length = int(limit or 1 << 30)

    def close(self) -> None:
        if self.model is None:
            return
        import torch

        self.model = self.tokenizer = self.encoder = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def run_by_length(
        self,
        operation: Operation,
        fits: list[int],
        lengths: Sequence[int],
        keys: Sequence[bytes],
        max_rows: int | None,
        work: Callable[[Sequence[int], Grace], list[Result]],
    ) -> Iterator[tuple[list[int], list[Result]]]:
        """Plan batches by length and run them.

        Args:
            fits: The rows to run.
            lengths: The number of tokens of each row; a batch is padded to its longest row.
            keys: The order of rows of equal length.
            max_rows: The most rows of a batch; None: as many as max_batch_tokens allows.
            work: Runs a batch, or a part of one.

        Yields:
            (rows, their results) of each batch.
        """
        limit = self.config.max_batch_tokens
        chosen = [lengths[i] for i in fits]
        planned = plan_batches(chosen, [keys[i] for i in fits], limit, max_rows or limit)
        return self.run_batches(
            operation,
            ([fits[i] for i in batch] for batch in planned),
            lambda batch: len(batch) * max(lengths[i] for i in batch),
            work,
        )

    def run_batches(
        self,
        operation: Operation,
        batches: Iterable[list[int]],
        size: Callable[[Sequence[int]], int],
        work: Callable[[Sequence[int], Grace], list[Result]],
    ) -> Iterator[tuple[list[int], list[Result]]]:
        """Run the batches; `size` is in tokens, padding included.

        Yields:
            (rows, their results) of each batch. A batch is yielded whole or not at all, even if it
            was split, so that a resumed run makes the same batches of the remaining rows.
        """
        from prefdata.engines.transformers.pieces import GivenUp, Grace, Pieces

        pieces = self.pieces.setdefault(operation, Pieces(self.remedy))
        grace = Grace(self.stopping)
        for batch in batches:
            if self.stopping.is_set():
                return
            try:
                finished = pieces.run(batch, size, lambda piece: work(piece, grace), grace)
            except GivenUp:
                return
            yield batch, finished


def describe_torch(device: str, dtype: str) -> dict[str, str]:
    """The versions and the device on which the numbers of a model hang that torch runs."""
    import torch
    import transformers

    on_gpu = device.startswith("cuda")
    instructions = torch.backends.cpu.get_cpu_capability()
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name(device) if on_gpu else f"{device} {instructions}",
        "dtype": dtype.removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
    }
