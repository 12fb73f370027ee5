"""Several models in one process: vLLM keeps one forward context for all of them, so that two that
worked at the same moment would read each other's caches, and write past their ends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from prefdata.engines.base import LoglikelihoodSettings, Settings
from prefdata.engines.vllm.engine import VllmEngine
from prefdata.messages.columns import MESSAGES

pytestmark = pytest.mark.vllm


def asked(count: int) -> pl.DataFrame:
    rows = [
        {
            "key": i.to_bytes(16, "big"),
            "messages": [{"role": "user", "content": f"What is {i} times {i + 3}? " * (1 + i % 9)}],
            "finished": True,
            "completion": f"It is {i * (i + 3)}, " + "as anyone can see. " * (1 + i % 7),
        }
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema_overrides={"messages": MESSAGES})


def logprobs(engine: VllmEngine, rows: pl.DataFrame) -> np.ndarray:
    got = pl.concat(list(engine.loglikelihood(rows, LoglikelihoodSettings())))
    return rows.select("key").join(got, on="key", how="left")["logprob"].to_numpy()


def norms(engine: VllmEngine, rows: pl.DataFrame) -> np.ndarray:
    got = pl.concat(list(engine.hidden_sums(rows, Settings())))
    sums = rows.select("key").join(got, on="key", how="left")["hidden_sum"].to_list()
    return np.linalg.norm(np.array(sums), axis=1)


def loaded_meanwhile(like: VllmEngine) -> None:
    engine = VllmEngine("another", like.config)
    try:
        engine.start()
    finally:
        engine.close()


def test_what_works_side_by_side_gives_what_it_gives_alone(
    made: Callable[..., VllmEngine], policy: VllmEngine, states: VllmEngine
) -> None:
    rows = asked(400)
    alone = [logprobs(policy, rows), norms(states, rows)]
    with ThreadPoolExecutor(3) as pool:
        both = [pool.submit(logprobs, policy, rows), pool.submit(norms, states, rows)]
        pool.submit(loaded_meanwhile, policy).result()
        together = [each.result() for each in both]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4)
