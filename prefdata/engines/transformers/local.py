"""What the engines share whose model transformers holds in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from prefdata.engines.base import Engine, Operation, Settings
from prefdata.engines.config import ModelParams
from prefdata.engines.fingerprint import model_fingerprint
from prefdata.engines.transformers.batches import plan
from prefdata.engines.transformers.loading import missing_device, resolved

if TYPE_CHECKING:
    from prefdata.engines.transformers.pieces import Grace, Pieces

Result = TypeVar("Result")


class LocalEngine(Engine):
    """A model, its tokenizer, and batches of requests that memory may make pieces of.

    `remedy` is said where a single request does not fit into memory.
    """

    remedy: str

    def __init__(self, name: str, params: ModelParams) -> None:
        self.name = name
        self.params = resolved(name, params)
        self.fingerprint = model_fingerprint(name, self.params)
        self.model: Any = None
        self.tokenizer: Any = None
        self.max_length = 0
        self.pieces: dict[Operation, Pieces] = {}

    def refusal(self, operation: Operation, settings: Settings | None = None) -> str | None:
        return super().refusal(operation, settings) or missing_device(self.params.device)

    def hold(self, model: Any, tokenizer: Any) -> None:
        """Keep what was loaded."""
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

    def run(
        self,
        operation: Operation,
        fits: list[int],
        lengths: Sequence[int],
        keys: Sequence[bytes],
        max_rows: int | None,
        work: Callable[[Sequence[int], Grace], list[Result]],
    ) -> Iterator[tuple[list[int], list[Result]]]:
        """(rows, their results) a batch, padded and planned by length."""
        limit = self.params.max_batch_tokens
        chosen = [lengths[i] for i in fits]
        planned = plan(chosen, [keys[i] for i in fits], limit, max_rows or limit)
        return self.pieces_of(
            operation,
            ([fits[i] for i in batch] for batch in planned),
            lambda some: len(some) * max(lengths[i] for i in some),
            work,
        )

    def pieces_of(
        self,
        operation: Operation,
        batches: Iterable[list[int]],
        size: Callable[[Sequence[int]], int],
        work: Callable[[Sequence[int], Grace], list[Result]],
    ) -> Iterator[tuple[list[int], list[Result]]]:
        """(rows, their results) a batch. A batch is yielded whole or not at all, also where memory
        made pieces of it, so that a resumed run makes the same batches of what is left."""
        from prefdata.engines.transformers.pieces import GivenUp, Grace, Pieces

        pieces = self.pieces.setdefault(operation, Pieces(self.remedy))
        grace = Grace(self.stopping)
        for picked in batches:
            if self.stopping.is_set():
                return
            try:
                found = pieces.run(picked, size, lambda some: work(some, grace), grace)
            except GivenUp:
                return
            yield picked, found
