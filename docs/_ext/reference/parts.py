"""The pages of the packages of parts: every kind with its docstring, example and settings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel

from reference.markdown import code_block, paragraph, sentence, table
from reference.settings import settings_of, settings_table


@dataclass(frozen=True)
class Package:
    """A package of parts and where its registry lies."""

    name: str
    one: str
    module: str
    registry: str
    section: str
    """Where params.yaml names its kinds."""

    @property
    def parts(self) -> Mapping[str, Any]:
        """The parts by their kinds."""
        return getattr(importlib.import_module(self.module), self.registry).parts

    @property
    def configs(self) -> dict[type[BaseModel], str]:
        """The parts' settings and their kinds."""
        return {part.config_type: kind for kind, part in self.parts.items()}


PACKAGES = (
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
        "exports", "export", "prefdata.dataset.exports.registry", "EXPORTS", "export.format"
    ),
)  # fmt: skip


def link_part(model: type[BaseModel]) -> str | None:
    """A link to the page of the package whose part `model` configures; None for other models."""
    for package in PACKAGES:
        if model in package.configs:
            article = "an" if package.one[0] in "aeiou" else "a"
            return f"{article} [{package.one}]({package.name}.md)"
    return None


def package_page(package: Package) -> str:
    """All kinds of the package: an overview, then a section for each."""
    title = package.name.capitalize()
    overview = [
        (f"[`{kind}`](#{package.one}-{kind})", sentence(part.__doc__))
        for kind, part in package.parts.items()
    ]
    text = f"# {title}\n\nThe kinds that `{package.section}` in `params.yaml` may name.\n\n"
    text += table([package.one, "what it does"], overview)
    for kind, part in package.parts.items():
        text += "\n" + _part_section(package, kind, part)
    return text


def _part_section(package: Package, kind: str, part: Any) -> str:
    config = part.config_type
    again = config.asks_again
    text = f"({package.one}-{kind})=\n## {kind}\n\n{paragraph(part.__doc__)}\n\n"
    example = {"kind": kind} | dict(config.example)
    text += code_block("yaml", yaml.safe_dump(example, sort_keys=False, allow_unicode=True)) + "\n"
    settings = settings_of(config, link_part, skip={"kind"})
    if settings:
        text += settings_table(settings, again)
    for setting in settings:
        for model in setting.nested:
            text += f"\n`{setting.name}`: {paragraph(model.__doc__)}\n\n"
            text += settings_table(settings_of(model, link_part))
    return text
