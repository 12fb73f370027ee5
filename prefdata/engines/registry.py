"""The engines there are, by the name that params.yaml uses. Each is imported when first used."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from prefdata.engines.base import Engine
from prefdata.engines.config import ModelParams
from prefdata.errors import ConfigError

ENGINES = {
    "transformers": "prefdata.engines.transformers.engine:TransformersEngine",
    "openai": "prefdata.engines.openai.engine:OpenAIEngine",
    "vllm": "prefdata.engines.vllm.engine:VllmEngine",
    "sentence": "prefdata.engines.sentence:SentenceEngine",
    "reward_model": "prefdata.engines.transformers.reward_model:RewardModelEngine",
    "scripted": "prefdata.engines.scripted:ScriptedEngine",
}


def load(name: str, params: ModelParams) -> Engine:
    """The engine for the model called `name` in params.yaml, not started yet."""
    if params.engine not in ENGINES:
        raise ConfigError(
            f"models.{name}.engine: {params.engine!r} is unknown; known: {', '.join(ENGINES)}"
        )
    module, _, attribute = ENGINES[params.engine].partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    engine = factory(name, params)
    assert isinstance(engine, Engine)
    return engine


class Engines(Mapping[str, Engine]):
    """The models of params.yaml, each made when first asked for."""

    def __init__(
        self, models: Mapping[str, ModelParams], stopping: threading.Event | None = None
    ) -> None:
        self._models = models
        self._stopping = stopping or threading.Event()
        self._made: dict[str, Engine] = {}
        self._making = threading.Lock()

    def __getitem__(self, name: str) -> Engine:
        if name not in self._models:
            raise ConfigError(
                f"model {name!r} is not defined; models has: {', '.join(self._models)}"
            )
        with self._making:
            if name not in self._made:
                self._made[name] = load(name, self._models[name])
                self._made[name].stopping = self._stopping
            return self._made[name]

    def close(self) -> None:
        """Close every engine that was made, also where one fails to."""
        with ExitStack() as closing:
            for engine in self._made.values():
                closing.callback(engine.close)

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)
