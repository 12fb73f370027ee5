"""The packages of parts: their registries, their places in params.yaml, what their parts say."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prefdata.reports.reference.docstrings import first_paragraph, first_sentence, split_paragraphs

if TYPE_CHECKING:
    from pydantic import BaseModel

    from prefdata.parts.registry import Registry


@dataclass(frozen=True)
class Package:
    """A package of parts and where its registry lies. Nothing is imported to tell so much.

    Attributes:
        name: Its name.
        one: What one of its parts is called.
        module: The module of its registry.
        registry: The name of the registry there.
        section: Where params.yaml names its kinds; empty where a command does.
        tag: The setting that holds the kind.
        command: The command that names its kinds, where params.yaml does not.
    """

    name: str
    one: str
    module: str
    registry: str
    section: str
    tag: str = "kind"
    command: str = ""

    @property
    def place(self) -> str:
        """Where its kinds are named, in words."""
        return f"in params.yaml: {self.section}" if self.section else f"named by {self.command}"

    @property
    def article(self) -> str:
        """The article before `one`."""
        return "an" if self.one[0] in "aeiou" else "a"

    @cached_property
    def _registry(self) -> Registry[Any]:
        registry: Registry[Any] = getattr(importlib.import_module(self.module), self.registry)
        return registry

    @property
    def parts(self) -> Mapping[str, Any]:
        """The parts by their kinds."""
        return self._registry.parts

    @property
    def distributions(self) -> Mapping[str, str]:
        """kind -> "package version" of the plugin that provides it; without our own kinds."""
        return self._registry.distributions

    @property
    def configs(self) -> dict[str, Any]:
        """The parts' settings by their kinds. An engine's part is its configuration."""
        return {kind: getattr(part, "config_type", part) for kind, part in self.parts.items()}


PACKAGES = (
    Package(
        "engines", "engine", "prefdata.engines.registry", "ENGINES", "models.NAME.engine", "engine"
    ),
    Package("sources", "source", "prefdata.sources.registry", "SOURCES", "ingest.sources"),
    Package(
        "revisions", "revision", "prefdata.revisions.registry", "REVISIONS", "generate.revisions"
    ),
    Package("judges", "judge", "prefdata.judges.registry", "JUDGES", "judge.judges"),
    Package(
        "consensuses", "consensus", "prefdata.consensus.registry", "CONSENSUSES", "consensus"
    ),
    Package("strategies", "strategy", "prefdata.pairs.registry", "STRATEGIES", "pair.strategy"),
    Package(
        "augmentations", "augmentation", "prefdata.augment.registry", "AUGMENTATIONS",
        "augment.augmentations",
    ),
    Package("filters", "filter", "prefdata.filters.registry", "FILTERS", "filter.filters"),
    Package(
        "exports", "export", "prefdata.dataset.exports.registry", "EXPORTS", "export.formats"
    ),
    Package(
        "consumers", "consumer", "prefdata.consumers.registry", "CONSUMERS", "",
        command="prefdata check --for",
    ),
)  # fmt: skip


def find_package(model: type[BaseModel]) -> Package | None:
    """The package of the part that `model` configures; None for other models."""
    return next((each for each in PACKAGES if model in each.configs.values()), None)


def summarise(package: Package, part: Any) -> str:
    """In a sentence or two: the subject, which the module names, and what the part does."""
    docstrings = (_module_docstring(package, part), part.__doc__)
    return " ".join(dict.fromkeys(s for d in docstrings if (s := first_sentence(d))))


def describe_part(package: Package, part: Any) -> list[str]:
    """The paragraphs that describe it: its module's first, then its own; of an export, what it
    can't carry and why it can't be read back, too."""
    module = first_paragraph(_module_docstring(package, part))
    paragraphs = list(filter(None, dict.fromkeys([module, *split_paragraphs(part.__doc__)])))
    if package.name == "exports":
        paragraphs.append(f"What it can't carry: {part.cannot_carry}")
        if part.one_way is not None:
            paragraphs.append(f"Its rows can't be read back: {part.one_way}")
    return paragraphs


def show_example(package: Package, kind: str) -> str:
    """Settings that make a working part, as YAML; the command line, where a command names it."""
    import yaml

    if package.command:
        first, *options = package.command.rsplit(" ", 1)
        return f"{first} DATASET {' '.join(options)} {kind}\n"
    example = {package.tag: kind} | dict(package.configs[kind].example)
    return yaml.safe_dump(example, sort_keys=False, allow_unicode=True)


def _module_docstring(package: Package, part: Any) -> str:
    """What the part's module says of it. An engine's configuration may stand among other things."""
    return "" if package.tag == "engine" else sys.modules[part.__module__].__doc__ or ""
