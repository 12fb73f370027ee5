"""A registry: all parts of one contract by their kinds, prefdata's own and those of plugins.

prefdata's own parts are found by scanning the modules of the registry's packages: a part is a class
that derives from the contract and whose configuration names a kind. Other packages register theirs
by entry points,
`[project.entry-points."prefdata.judges"]  loudness = "my_package.loudness:LoudnessJudge"`.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property, reduce
from importlib.metadata import EntryPoint, entry_points
from operator import or_
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.parts.base import Part, PartConfig
from prefdata.parts.validation import validate
from prefdata.text.similar_names import suggest_name

P = TypeVar("P", bound=Part)

logger = logging.getLogger("prefdata.parts")


class Registry(Generic[P]):
    """The parts that derive from `base`, an abstract class.

    Args:
        base: The contract of the parts.
        packages: The packages whose modules are scanned.
        group: The entry point group by which plugins register parts.
    """

    def __init__(self, base: Any, packages: Sequence[str], group: str) -> None:
        self.base: type[P] = base
        self.packages, self.group = packages, group

    @cached_property
    def parts(self) -> Mapping[str, type[P]]:
        """Every part by its kind, sorted."""
        parts = {part.kind: part for part in self._own()}
        for kind, part in self._plugins.items():
            if kind in parts:
                logger.warning(
                    "plugin %s is left out: %s has a part of the kind %r already",
                    self.distributions.get(kind, part.__module__),
                    self.group,
                    kind,
                )
                continue
            parts[kind] = part
        return {kind: parts[kind] for kind in sorted(parts)}

    @cached_property
    def settings(self) -> Any:
        """The type of the parts' settings in params.yaml: the union of all configurations, told
        apart by `kind`."""
        configs = tuple(part.config_type for part in self.parts.values())
        if len(configs) == 1:
            return configs[0]
        return Annotated[reduce(or_, configs), Field(discriminator="kind")]

    @cached_property
    def distributions(self) -> dict[str, str]:
        """kind -> "package version" of the plugin that provides it; without our own kinds."""
        self._plugins  # noqa: B018
        return self._sources

    def build(self, config: PartConfig, where: str = "") -> P:
        """The part that the configuration describes."""
        return self.parts[config.kind](config, where)

    def build_all(self, configs: Sequence[PartConfig], where: str) -> list[P]:
        """The parts of a list in params.yaml that stands at `where`, in its order."""
        return [self.build(config, f"{where}.{n}") for n, config in enumerate(configs)]

    def parse(self, settings: Mapping[str, Any], where: str = "") -> P:
        """The part that `{"kind": ..., ...}` describes. Raises ConfigError as params.yaml does."""
        kind = str(settings.get("kind"))
        where = where or kind
        if kind not in self.parts:
            known = ", ".join(self.parts)
            raise ConfigError(
                f"{where}.kind: {kind!r} is unknown{suggest_name(kind, self.parts)}; known: {known}"
            )
        return self.build(validate(self.parts[kind].config_type, settings, where), where)

    def _own(self) -> Iterator[type[P]]:
        for name in self.packages:
            package = importlib.import_module(name)
            for module in pkgutil.iter_modules(package.__path__, f"{name}."):
                if not module.ispkg:
                    yield from self._parts_of(importlib.import_module(module.name))

    def _parts_of(self, module: Any) -> Iterator[type[P]]:
        for value in vars(module).values():
            if self._is_part(value) and value.__module__ == module.__name__:
                yield value

    def _is_part(self, value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, self.base) and hasattr(value, "kind")

    @cached_property
    def _plugins(self) -> dict[str, type[P]]:
        self._sources: dict[str, str] = {}
        plugins: dict[str, type[P]] = {}
        for point in _all_entry_points().select(group=self.group):
            part = self._load(point)
            if part is not None:
                plugins[part.kind] = part
                source = point.dist
                self._sources[part.kind] = f"{source.name} {source.version}" if source else "?"
        return plugins

    def _load(self, point: EntryPoint) -> type[P] | None:
        """The plugin's part; None, with a warning, where it is broken: one bad plugin must not
        keep the others from running."""
        try:
            part = point.load()
        except Exception as error:
            logger.warning(
                "plugin %s is left out: %s %s can't be loaded (%s: %s)",
                point.name, self.group, point.value, type(error).__name__, error,
            )  # fmt: skip
            return None
        if not self._is_part(part):
            logger.warning(
                "plugin %s is left out: %s %s is no %s with a kind",
                point.name, self.group, point.value, self.base.__name__,
            )  # fmt: skip
            return None
        return cast(type[P], part)


@cache
def _all_entry_points() -> Any:
    """The entry points of every installed package, read once: reading their metadata is slow."""
    return entry_points()
