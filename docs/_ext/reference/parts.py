"""The pages of the packages of parts: every kind with its docstring, example and settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import BaseModel

from prefdata.reports.reference.packages import (
    Package,
    describe_part,
    find_package,
    show_example,
    summarise,
)
from prefdata.reports.reference.settings import settings_of
from reference.markdown import code_block, link_papers, paragraph, settings_table, table


def link_part(model: type[BaseModel]) -> str | None:
    """A link to the page of the package whose part `model` configures; None for other models."""
    package = find_package(model)
    return package and f"{package.article} [{package.one}]({package.name}.md)"


def package_page(package: Package) -> str:
    """All kinds of the package: an overview, then a section for each."""
    overview = [
        (f"[`{kind}`](#{anchor(package, kind)})", link_papers(summarise(package, part)))
        for kind, part in package.parts.items()
    ]
    text = f"# {package.name.capitalize()}\n\n"
    where = f"`{package.section}` in `params.yaml`" if package.section else f"`{package.command}`"
    text += f"The kinds that {where} may name.\n\n"
    text += table([package.one, "what it does"], overview)
    for kind, part in package.parts.items():
        text += "\n" + _part_section(package, kind, part)
    return text


def anchor(package: Package, kind: str) -> str:
    """The anchor of a kind's section."""
    return f"{package.one}-{kind}".replace("_", "-")


def _part_section(package: Package, kind: str, part: Any) -> str:
    config = package.configs[kind]
    text = f"({anchor(package, kind)})=\n## {kind}\n\n"
    text += "\n\n".join(map(link_papers, describe_part(package, part))) + "\n\n"
    text += code_block("yaml" if package.section else "sh", show_example(package, kind)) + "\n"
    return text + _settings(config, "", config.asks_again, {package.tag})


def _settings(
    config: type[BaseModel], path: str, again: Collection[str], skip: Collection[str]
) -> str:
    """The table of the settings, those that follow from it, and long defaults."""
    settings = settings_of(config, link_part, skip)
    if not settings:
        return ""
    own = {name.removeprefix(path) for name in again if name.startswith(path)}
    text = settings_table(settings, own)
    for setting in settings:
        if setting.long_default:
            text += f"\nDefault of `{path}{setting.name}`:\n\n"
            text += code_block("yaml", setting.long_default)
        for model in setting.nested:
            text += f"\n`{path}{setting.name}`: {paragraph(model.__doc__)}\n\n"
            inner = again if setting.name not in own else {*again, *_all(path, setting.name, model)}
            text += _settings(model, f"{path}{setting.name}.", inner, ())
    return text


def _all(path: str, name: str, model: type[BaseModel]) -> Iterator[str]:
    return (f"{path}{name}.{field}" for field in model.model_fields)
