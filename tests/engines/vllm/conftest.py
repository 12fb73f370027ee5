"""The demo policy on real vLLM, loaded once for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# One thread, bound to nothing: other tests run on the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

import pytest

from prefdata.engines.transformers.config import TransformersConfig
from prefdata.engines.transformers.engine import TransformersEngine
from prefdata.engines.vllm.config import VllmConfig
from prefdata.engines.vllm.engine import VllmEngine

POLICY = Path(__file__).resolve().parents[3] / "demo" / "policy"
SMALL = {"enforce_eager": True, "kv_cache_memory_bytes": 200 << 20}


def make_config(**options: Any) -> VllmConfig:
    """The demo policy on vLLM, small and in float32."""
    return VllmConfig(model=str(POLICY), dtype="float32", options={**SMALL, **options})


@pytest.fixture(scope="session")
def made() -> Iterator[Callable[..., VllmEngine]]:
    """Makes started engines, each set of options once; closes them at the end."""
    engines: dict[str, VllmEngine] = {}

    def make(**options: Any) -> VllmEngine:
        key = repr(sorted(options.items()))
        if key not in engines:
            engines[key] = VllmEngine("policy", make_config(**options))
            engines[key].start()
        return engines[key]

    yield make
    for engine in engines.values():
        engine.close()


@pytest.fixture(scope="session")
def policy(made: Callable[..., VllmEngine]) -> VllmEngine:
    """Prompts here are short: blocks of 32 tokens let their prefixes be shared at all."""
    return made(engine_args={"block_size": 32})


@pytest.fixture(scope="session")
def states(made: Callable[..., VllmEngine]) -> VllmEngine:
    return made(runner="hidden_sums")


@pytest.fixture(scope="session")
def reference() -> TransformersEngine:
    """The same model on the transformers engine."""
    engine = TransformersEngine("policy", TransformersConfig(model=str(POLICY), dtype="float32"))
    engine.start()
    return engine


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[[VllmEngine], list[Any]]:
    """Notes vLLM's own outputs of the engine from now on."""

    def note(engine: VllmEngine) -> list[Any]:
        outputs: list[Any] = []
        assert engine.model is not None
        core = engine.model.loop.core
        step = core.step

        def noting() -> list[tuple[str, Any]]:
            finished = step()
            outputs.extend(output for _, output in finished)
            return finished

        monkeypatch.setattr(core, "step", noting)
        return outputs

    return note
