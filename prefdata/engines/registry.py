"""The registry of engines, which finds them by their configurations, and the models of a run."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property, reduce
from importlib.util import find_spec
from operator import or_
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from prefdata.engines.base import Engine
from prefdata.engines.config import DEFAULT_ENGINE, ModelConfig
from prefdata.errors import ConfigError
from prefdata.parts.registry import Registry
from prefdata.parts.validation import validate
from prefdata.text.similar_names import suggest_name


class EngineRegistry(Registry[Any]):
    """The engines. `parts` maps the name of each engine to its configuration.

    A configuration is defined in a module of this package, or in the module `config` of a package
    inside it. A plugin names its configuration as an entry point,
    `[project.entry-points."prefdata.engines"] echo = "my_package.echo:EchoConfig"`. These modules
    must import nothing heavy: `load` imports the engine's class, which imports torch or vllm only
    when it needs them.
    """

    def __init__(self) -> None:
        super().__init__(ModelConfig, ["prefdata.engines"], "prefdata.engines")

    @cached_property
    def settings(self) -> Any:
        """The type of a model's settings in params.yaml: the union of all configurations,
        discriminated by `engine`."""
        union = reduce(or_, self.parts.values())
        return Annotated[union, Field(discriminator="engine"), BeforeValidator(_fill_engine)]

    def parse(self, settings: Mapping[str, Any], where: str = "") -> ModelConfig:
        """The configuration that `{"engine": ..., "model": ...}` describes.

        Raises ConfigError as params.yaml does; `where` is its path there, such as models.policy.
        """
        engine = str(settings.get("engine", DEFAULT_ENGINE))
        if engine not in self.parts:
            known = ", ".join(self.parts)
            meant = suggest_name(engine, self.parts)
            raise ConfigError(f"{where}.engine: {engine!r} is unknown{meant}; known: {known}")
        config: ModelConfig = validate(self.parts[engine], settings, where)
        return config

    def load(self, name: str, config: ModelConfig) -> Engine:
        """The engine of the model called `name` in params.yaml, not started yet."""
        engine: Any = self.find_class(config)
        made: Engine = engine(name, config)
        return made

    def find_class(self, config: ModelConfig) -> type[Engine]:
        """The class of the engine that runs a model."""
        module, _, attribute = config.engine_class.partition(":")
        engine: type[Engine] = getattr(importlib.import_module(module), attribute)
        assert issubclass(engine, Engine)
        return engine

    def _own(self) -> Iterator[type[ModelConfig]]:
        for name in self.packages:
            package = importlib.import_module(name)
            for module in pkgutil.iter_modules(package.__path__, f"{name}."):
                path = f"{module.name}.config" if module.ispkg else module.name
                if find_spec(path):
                    yield from self._parts_of(importlib.import_module(path))


def _fill_engine(settings: Any) -> Any:
    if isinstance(settings, Mapping) and "engine" not in settings:
        return {"engine": DEFAULT_ENGINE, **settings}
    return settings


ENGINES = EngineRegistry()


class Engines(Mapping[str, Engine]):
    """The models of a run, each created on first access.

    Args:
        models: The section `models` of params.yaml.
        stopping: The run's own event, which every engine checks.
    """

    def __init__(
        self, models: Mapping[str, ModelConfig], stopping: threading.Event | None = None
    ) -> None:
        self._models = models
        self._stopping = stopping or threading.Event()
        self._made: dict[str, Engine] = {}
        self._making = threading.Lock()

    def __getitem__(self, name: str) -> Engine:
        if name not in self._models:
            raise ConfigError(
                f"model {name!r} is not defined{suggest_name(name, self._models)}; models has: "
                f"{', '.join(self._models)}"
            )
        with self._making:
            if name not in self._made:
                engine = ENGINES.load(name, self._models[name])
                engine.stopping = self._stopping
                self._made[name] = engine
            return self._made[name]

    def is_replicable(self, name: str) -> bool:
        """Whether every process may have an engine of its own for this model."""
        return ENGINES.find_class(self._models[name]).replicable

    def release(self, name: str) -> None:
        """Close the engine of this model if it was created; it starts again when it is asked."""
        engine = self._made.get(name)
        if engine is not None:
            engine.close()

    def close(self) -> None:
        """Close every engine that was created, even if closing one of them fails."""
        with ExitStack() as closing:
            for engine in self._made.values():
                closing.callback(engine.close)

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)
