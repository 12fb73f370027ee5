"""Choose: log-probabilities of options as the response."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import polars as pl

from prefdata.engines import chat
from prefdata.engines.base import Options, results
from prefdata.engines.vllm import api
from prefdata.engines.vllm.loaded import LoadedModel, Logprobs, Outputs, group_by_prompt
from prefdata.engines.vllm.loop import Request

NO_LOGPROBS = (
    "vLLM does not give the log-probs of a given text with a LoRA adapter on; merge the adapter "
    "into the model (peft's `merge_and_unload`) and name the result"
)
"""vLLM's CPU build stops working when asked for them (vLLM 0.32)."""


def weigh_options(
    model: LoadedModel, rows: pl.DataFrame, settings: Options
) -> Iterator[pl.DataFrame]:
    """The log-probability of each option, in nats."""
    prompts, keys = (
        chat.Prompts(model.encoder, rows, model.config.chat_template_kwargs),
        rows["key"].to_list(),
    )
    options = [model.encoder.encode_content(option) for option in settings.options]
    longest = max(map(len, options))
    # An option's last token is predicted, not read, but vLLM needs room to predict it.
    lengths = [len(prompt) + longest for prompt in prompts.ids]
    fits, errors = chat.split_by_length("choose", rows, prompts, lengths, model.max_length)
    yield from errors
    firsts = list(dict.fromkeys(option[0] for option in options if option))
    if longest == 1 and all(options) and len(firsts) <= api.READABLE:
        yield from _choose_tokens(model, prompts, keys, fits, [option[0] for option in options])
    elif model.lora:
        reasons = [f"refused: {NO_LOGPROBS}"] * len(fits)
        yield results("choose", [keys[i] for i in fits], error=reasons)
    else:
        yield from _choose_sequences(model, prompts, keys, fits, options)


def _choose_tokens(
    model: LoadedModel, prompts: chat.Prompts, keys: list[bytes], rows: list[int], tokens: list[int]
) -> Iterator[pl.DataFrame]:
    """Options of one token each: one request per row reads them all."""
    params = partial(api.make_reading_params, list(dict.fromkeys(tokens)), False)
    requests = (Request(i, prompts.ids[i], params) for i in group_by_prompt(prompts, rows))

    def make(outputs: Outputs) -> pl.DataFrame:
        following = [output.outputs[0].logprobs[0] for _, output in outputs]
        return results(
            "choose",
            [keys[i] for i, _ in outputs],
            logprobs=[[each[token].logprob for token in tokens] for each in following],
            n_prompt_tokens=[len(prompts.ids[i]) for i, _ in outputs],
        )

    yield from model.run("choose", keys, requests, make)


def _choose_sequences(
    model: LoadedModel,
    prompts: chat.Prompts,
    keys: list[bytes],
    rows: list[int],
    options: list[list[int]],
) -> Iterator[pl.DataFrame]:
    """Options of several tokens: one request per option, whose tokens' log-probabilities add up."""
    count, total = len(options), sum(map(len, options))
    sums: dict[int, dict[int, float]] = {i: {} for i in rows}

    def make(logprobs: Logprobs) -> pl.DataFrame:
        for pair, each in logprobs:
            sums[pair // count][pair % count] = float(sum(each))
        touched = dict.fromkeys(pair // count for pair, _ in logprobs)
        whole = [i for i in touched if len(sums[i]) == count]
        return results(
            "choose",
            [keys[i] for i in whole],
            logprobs=[[sums[i][o] for o in range(count)] for i in whole],
            n_prompt_tokens=[count * len(prompts.ids[i]) + total for i in whole],
        )

    pairs = [(i * count + o, prompts.ids[i], options[o]) for i in rows for o in range(count)]
    failed: set[bytes] = set()
    for frame in model.read_logprobs("choose", [key for key in keys for _ in options], pairs, make):
        if frame["error"].is_not_null().any():
            # If one option fails, its row fails, once: the others have nothing to compare with.
            frame = frame.unique("key", keep="first").filter(~pl.col("key").is_in(list(failed)))
            failed.update(frame["key"])
        yield frame
