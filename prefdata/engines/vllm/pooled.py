"""Hidden sums and embeddings: what vLLM computes with a model that is loaded for pooling."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl

from prefdata.engines import chat
from prefdata.engines.base import Settings, results
from prefdata.engines.completions import encode_completions
from prefdata.engines.encoding import encode_texts
from prefdata.engines.vllm import api
from prefdata.engines.vllm.loaded import LoadedModel, Outputs
from prefdata.engines.vllm.loop import Request


def compute_hidden_sums(
    model: LoadedModel, rows: pl.DataFrame, settings: Settings
) -> Iterator[pl.DataFrame]:
    """The sums of the hidden states that predict the completions' tokens."""
    arguments, keys = model.config.chat_template_kwargs, rows["key"].to_list()
    prompts, responses = encode_completions(model.encoder, rows, settings, arguments)
    chat.refuse_empty(prompts, responses)
    # The last token of a response predicts none of its tokens, so it is not run.
    sequences = [p + r[:-1] for p, r in zip(prompts.ids, responses, strict=True)]
    lengths = [len(sequence) for sequence in sequences]
    fits, errors = chat.split_by_length("hidden_sums", rows, prompts, lengths, model.max_length)
    yield from errors

    def make(outputs: Outputs) -> pl.DataFrame:
        states = [api.take_vectors(output)[-len(responses[i]) :] for i, output in outputs]
        sums = [each.sum(0, dtype=np.float64).astype(np.float32) for each in states]
        return results(
            "hidden_sums",
            [keys[i] for i, _ in outputs],
            hidden_sum=np.stack(sums),
            last_hidden=np.stack([each[-1] for each in states]),
            n_tokens=[len(responses[i]) for i, _ in outputs],
            n_prompt_tokens=[len(prompts.ids[i]) + len(responses[i]) for i, _ in outputs],
        )

    params = partial(api.make_pooling_params, "token_embed")
    requests = (Request(i, sequences[i], params) for i in fits)
    yield from model.run("hidden_sums", keys, requests, make)


def embed_texts(model: LoadedModel, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """One vector of unit length per text; a text longer than the model takes is truncated."""
    keys, texts = rows["key"].to_list(), rows["text"].to_list()
    ids, errors = encode_texts(model.tokenizer, texts, model.max_length)
    if errors:
        yield results("embed", [keys[i] for i in errors], error=list(errors.values()))

    def make(outputs: Outputs) -> pl.DataFrame:
        vectors = np.stack([api.take_vectors(output) for _, output in outputs])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return results(
            "embed",
            [keys[i] for i, _ in outputs],
            embedding=vectors,
            n_prompt_tokens=[len(ids[i]) for i, _ in outputs],
        )

    params = partial(api.make_pooling_params, "embed")
    requests = (Request(i, each, params) for i, each in enumerate(ids) if i not in errors)
    yield from model.run("embed", keys, requests, make)
