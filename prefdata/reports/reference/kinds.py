"""What `prefdata list` and `prefdata describe` print: kinds, settings, their JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter

from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.reports.base import Block, Figures, Grid, Report
from prefdata.reports.reference.packages import (
    PACKAGES,
    Package,
    describe_part,
    find_package,
    show_example,
    summarise,
)
from prefdata.reports.reference.settings import Setting, flatten_settings
from prefdata.text.similar_names import suggest_name

OWN = "prefdata"
"""Where a part comes from that is no plugin's."""


class KindFigures(Figures):
    """A kind in a list."""

    summary: str
    package: str


class PackageFigures(Figures):
    """The kinds of a package of parts, and where they are named."""

    place: str
    kinds: dict[str, KindFigures]


class Kinds(Report):
    """The kinds of parts, by the names of their packages."""

    packages: dict[str, PackageFigures]

    def blocks(self) -> list[Block]:
        """One package's kinds with what they do; of several, the kinds' names."""
        if len(self.packages) > 1:
            rows = [(name, p.place, ", ".join(p.kinds)) for name, p in self.packages.items()]
            hint = (
                "prefdata list judges says what each does, prefdata describe judge KIND all of it"
            )
            return [Grid(("parts", "named by", "kinds"), rows), hint]
        ((name, package),) = self.packages.items()
        return [f"{name}, named by {package.place}", _tabulate_kinds(package)]


class Description(Report):
    """A kind, or settings of params.yaml: as text, and as JSON Schema."""

    text: list[str]
    settings: list[tuple[str, str, str, str]]
    long_defaults: dict[str, str]
    kinds: PackageFigures | None = None
    json_schema: dict[str, Any]

    def blocks(self) -> list[Block]:
        """The text, the table of settings, long defaults, and the kinds that it may name."""
        blocks: list[Block] = list(self.text)
        if self.settings:
            blocks.append(Grid(("setting", "type", "default", "description"), self.settings))
        blocks += [f"Default of {name}:\n{text}" for name, text in self.long_defaults.items()]
        if self.kinds:
            blocks.append(_tabulate_kinds(self.kinds))
        return blocks

    def to_json(self) -> str:
        """The JSON Schema on one line."""
        return json.dumps(self.json_schema, ensure_ascii=True)


def list_kinds(what: str | None = None) -> Kinds:
    """The kinds of one package, or of all. Raises ConfigError if there is no such package."""
    chosen = PACKAGES if what is None else (_get_package(what),)
    return Kinds(packages={package.name: _list_kinds(package) for package in chosen})


def describe(what: str, kind: str | None = None) -> Description:
    """All settings of a kind, or of a place in params.yaml.

    Args:
        what: A package of parts, such as judge or judges; or without `kind` also a place in
            params.yaml, such as generate or generate.n.
        kind: A kind of the package.

    Raises:
        ConfigError: There is no such thing; it names the one that was meant.
    """
    if kind is not None:
        return _describe_kind(_get_package(what), kind)
    package = _find_package(what)
    known = {setting.name: setting for setting in _list_settings()}
    settings = [s for name, s in known.items() if name == what or name.startswith(f"{what}.")]
    if not settings and package is None:
        raise _refuse(what)
    text = [f"{what}, in params.yaml"] if settings else []
    if package:
        how = f"prefdata describe {package.one} KIND"
        text.append(f"{package.name}, {package.place}; all of one: {how}")
    kinds = _list_kinds(package) if package else None
    place = known.get(what) or known.get(package.section.partition(".NAME")[0] if package else "")
    return Description(
        text=["\n".join(text)],
        settings=_tabulate(settings),
        long_defaults=_list_long_defaults(settings),
        kinds=kinds,
        json_schema=_render_schema(place)
        if place
        else {"enum": list(package.parts if package else ())},
    )


def _describe_kind(package: Package, kind: str) -> Description:
    if kind not in package.parts:
        known = ", ".join(package.parts)
        raise ConfigError(
            f"there is no {package.one} {kind!r}{suggest_name(kind, package.parts)}; "
            f"known: {known}",
            f"prefdata list {package.name} says what each does.",
        )
    part, config = package.parts[kind], package.configs[kind]
    text = [f"{package.one} {kind} ({_find_origin(package, kind)}), {package.place}"]
    text += map(_unwrap, describe_part(package, part))
    text.append(f"Example:\n{_indent(show_example(package, kind))}")
    settings = list(flatten_settings(config, _name_part, {package.tag}))
    return Description(
        text=text,
        settings=_tabulate(settings, config.asks_again),
        long_defaults=_list_long_defaults(settings),
        json_schema=config.model_json_schema(),
    )


def _list_settings() -> list[Setting]:
    """Every setting of params.yaml that is no part's, with its place."""
    return list(flatten_settings(Params, _name_part))


def _name_part(model: type[BaseModel]) -> str | None:
    package = find_package(model)
    return f"{package.article} {package.one}" if package else None


def _find_package(what: str) -> Package | None:
    return next((p for p in PACKAGES if what in (p.name, p.one)), None)


def _get_package(what: str) -> Package:
    package = _find_package(what)
    if package is None:
        raise _refuse(what)
    return package


def _refuse(what: str) -> ConfigError:
    """The error for what is unknown: with the parts of this kind, or the name that was meant."""
    named = [package for package in PACKAGES if what in package.parts]
    if named:
        commands = " or ".join(f"prefdata describe {package.one} {what}" for package in named)
        return ConfigError(f"{what!r} is a kind of {named[0].name}", f"Run {commands}.")
    words = [name for package in PACKAGES for name in (package.one, package.name)]
    places = [setting.name for setting in _list_settings()]
    kinds = [kind for package in PACKAGES for kind in package.parts]
    meant = suggest_name(what, words) or suggest_name(what, [*places, *kinds])
    return ConfigError(
        f"{what!r} is neither a part nor a place in params.yaml{meant}; "
        f"parts: {', '.join(p.one for p in PACKAGES)}; sections: {', '.join(Params.model_fields)}",
        "prefdata list names all kinds.",
    )


def _list_kinds(package: Package) -> PackageFigures:
    return PackageFigures(
        place=package.section or package.command,
        kinds={
            kind: KindFigures(summary=summarise(package, part), package=_find_origin(package, kind))
            for kind, part in package.parts.items()
        },
    )


def _find_origin(package: Package, kind: str) -> str:
    return package.distributions.get(kind, OWN)


def _tabulate_kinds(package: PackageFigures) -> Grid:
    """The kinds; where they come from if some are a plugin's."""
    if all(kind.package == OWN for kind in package.kinds.values()):
        return Grid(("kind", "what it does"), [(n, k.summary) for n, k in package.kinds.items()])
    rows = [(name, kind.package, kind.summary) for name, kind in package.kinds.items()]
    return Grid(("kind", "package", "what it does"), rows)


def _tabulate(
    settings: Iterable[Setting], again: Iterable[str] = ()
) -> list[tuple[str, str, str, str]]:
    """Rows of the settings; `again` names those whose change asks models anew."""
    asking = tuple(again)
    rows = []
    for each in settings:
        marked = any(each.name == name or each.name.startswith(f"{name}.") for name in asking)
        described = f"{each.description} Asks models again." if marked else each.description
        rows.append((each.name, each.type.replace("`", ""), each.format_default(), described))
    return rows


def _list_long_defaults(settings: Iterable[Setting]) -> dict[str, str]:
    return {each.name: _indent(each.long_default) for each in settings if each.long_default}


def _render_schema(setting: Setting) -> dict[str, Any]:
    annotation: Any = Annotated[setting.field.annotation, setting.field]
    return TypeAdapter(annotation).json_schema()


def _unwrap(paragraph: str) -> str:
    """A paragraph of prose in one line, which the window wraps; lists and code stay as they are."""
    lines = paragraph.splitlines()
    prose = all(line[:1].isalnum() or line[:1] in "`(" for line in lines)
    return " ".join(lines) if prose else paragraph


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.rstrip().splitlines())
