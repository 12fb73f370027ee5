"""What the engines share whose model transformers loads into this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from prefdata.engines.base import Engine, Operation, Settings
from prefdata.engines.config import ModelConfig
from prefdata.engines.fingerprint import fingerprint_model
from prefdata.engines.transformers.batches import plan_batches
from prefdata.engines.transformers.loading import explain_missing_device, resolve_device

if TYPE_CHECKING:
    from prefdata.engines.transformers.pieces import Grace, Pieces

Result = TypeVar("Result")


class LocalEngine(Engine):
    """A model and its tokenizer, asked batch by batch; a batch that memory can't take is cut."""

    remedy: str
    """What to change where a single request does not fit into memory."""

    def __init__(self, name: str, config: ModelConfig) -> None:
        self.name = name
        self.config = resolve_device(name, config)
        self.fingerprint = fingerprint_model(name, self.config)
        self.model: Any = None
        self.tokenizer: Any = None
        self.max_length = 0
        self.pieces: dict[Operation, Pieces] = {}

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        return super().refusal(operation, settings) or explain_missing_device(self.config.device)

    def keep_model(self, model: Any, tokenizer: Any) -> None:
        """Keep what `start` loaded."""
        self.model, self.tokenizer = model, tokenizer
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", 0)
        self.max_length = int(limit or 1 << 30)

    def close(self) -> None:
        if self.model is None:
            return
        import torch

        self.model = self.tokenizer = None
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
            lengths: Tokens of each row, padded to the longest of its batch.
            keys: Decide the order of rows of equal length.
            max_rows: Rows of a batch; None: as many as max_batch_tokens allows.
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
            lambda some: len(some) * max(lengths[i] for i in some),
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
            (rows, their results) of each batch, whole or not at all, also where it had to be cut:
            so a resumed run makes the same batches of what is left.
        """
        from prefdata.engines.transformers.pieces import GivenUp, Grace, Pieces

        pieces = self.pieces.setdefault(operation, Pieces(self.remedy))
        grace = Grace(self.stopping)
        for batch in batches:
            if self.stopping.is_set():
                return
            try:
                found = pieces.run(batch, size, lambda some: work(some, grace), grace)
            except GivenUp:
                return
            yield batch, found
