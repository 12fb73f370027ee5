"""Embed: several texts per request."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import orjson

from prefdata.engines.base import Operation
from prefdata.engines.openai.bodies import VECTOR_BYTES
from prefdata.engines.openai.clients.base import Client, Post, Row, Unit
from prefdata.engines.openai.replies import parse_embeddings


class EmbedClient(Client):
    """Several texts per request. If a request is refused, each text is sent alone."""

    operation: Operation = "embed"

    def list_units(self) -> Iterator[Unit]:
        for part in self.rows.iter_slices(self.options.embed_batch):
            yield Unit(part["key"].to_list(), part["text"].to_list())

    async def send(self, unit: Unit, post: Post) -> list[Row]:
        body = {**self.fixed, "input": unit.content, "encoding_format": "float"}
        size = len(unit.keys) * VECTOR_BYTES
        reply = await post("/embeddings", orjson.dumps(body), size)
        vectors, n_prompt = parse_embeddings(reply, len(unit.keys))
        counts = share_out(n_prompt, [len(text) for text in unit.content])
        return [(*row, None) for row in zip(unit.keys, vectors, counts, strict=True)]

    def make_canary(self) -> Unit:
        return Unit([bytes(16)], ["Hello"])


def share_out(total: int, lengths: list[int]) -> list[int]:
    """Divide `total` in proportion to the lengths: a server only counts a whole request's tokens.

    The parts are whole numbers that sum to `total`.
    """
    ends, whole = [0], max(1, sum(lengths))
    for length in lengths:
        ends.append(ends[-1] + length)
    cuts = [total * end // whole for end in ends[:-1]] + [total]
    return [after - before for before, after in itertools.pairwise(cuts)]
