"""The reference is complete: every kind, setting, command, record and exit code is described."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from blocks import ROOT
from pydantic import BaseModel
from reference.commands import commands
from reference.exits import MEANINGS
from reference.parts import anchor, link_part

from prefdata import errors
from prefdata.config import Params
from prefdata.records import RECORDS
from prefdata.reports.reference.packages import PACKAGES, Package
from prefdata.reports.reference.settings import settings_of

KINDS = [(package, kind) for package in PACKAGES for kind in package.parts]


def each_setting(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    """(place, description) of all settings of a model and of those nested in it."""
    for setting in settings_of(model, link_part):
        place = f"{path}.{setting.name}"
        if setting.name not in ("kind", "engine") or setting.required:
            yield place, setting.description
        for nested in setting.nested:
            yield from each_setting(nested, place)


def section(page: str, target: str) -> str:
    """The section of a page that has the target."""
    return page.partition(f"({target})=\n")[2].partition("\n## ")[0].partition("\n(")[0]


@pytest.mark.parametrize(("package", "kind"), KINDS, ids=lambda x: getattr(x, "name", x))
def test_every_kind_has_its_section(
    package: Package, kind: str, generated_pages: dict[str, str]
) -> None:
    page = generated_pages[f"{package.name}.md"]
    assert f"[`{kind}`](#{anchor(package, kind)})" in page
    text = page.partition(f"({anchor(package, kind)})=\n")[2]
    settings = settings_of(package.configs[kind], link_part, {package.tag})
    assert [s.name for s in settings if f"| `{s.name}` |" not in text] == []


@pytest.mark.parametrize(("package", "kind"), KINDS, ids=lambda x: getattr(x, "name", x))
def test_every_kind_and_setting_is_described(package: Package, kind: str) -> None:
    docstring = package.parts[kind].__doc__ or ""
    assert len(docstring) > 10
    assert "See the module" not in docstring
    undescribed = [p for p, said in each_setting(package.configs[kind], kind) if not said]
    assert undescribed == []


@pytest.mark.parametrize(("package", "kind"), KINDS, ids=lambda x: getattr(x, "name", x))
def test_every_example_is_valid(package: Package, kind: str) -> None:
    config = package.configs[kind]
    config.model_validate({package.tag: kind} | dict(config.example))


def test_every_setting_outside_of_parts_is_described(generated_pages: dict[str, str]) -> None:
    found = list(each_setting(Params, ""))
    assert [place for place, said in found if not said] == []
    page = generated_pages["params.md"]
    assert [p for p, _ in found if f"| `{p.rpartition('.')[2]}` |" not in page] == []


def test_every_setting_that_asks_again_exists() -> None:
    for package in PACKAGES:
        for kind, config in package.configs.items():
            places = {p.removeprefix(f"{kind}.") for p, _ in each_setting(config, kind)}
            assert config.asks_again <= places | {"kind", "engine"}, kind


def test_every_command_and_option_is_there(generated_pages: dict[str, str]) -> None:
    page = generated_pages["commands.md"]
    found = list(commands())
    assert len(found) > 15
    for name, command in found:
        assert f"## {name}\n" in page
        assert command.help
        shown = [p for p in command.params if not getattr(p, "hidden", False)]
        options = [o for p in shown for o in p.opts if p.param_type_name == "option"]
        assert [o for o in options if f"`{o}" not in page] == []


def test_every_column_is_there(generated_pages: dict[str, str]) -> None:
    page = generated_pages["records.md"]
    for record in RECORDS:
        text = page.partition(f"\n## {record.__name__}\n")[2].partition("\n## ")[0]
        assert [c for c in record.model_fields if f"| `{c}` |" not in text] == []


def test_every_exit_code_has_its_meaning(generated_pages: dict[str, str]) -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type)]
    codes = {e.exit_code for e in kinds if issubclass(e, errors.PrefdataError)}
    assert set(MEANINGS) == codes | {0, 130, 143}
    assert all(f"| `{code}` |" in generated_pages["exit_codes.md"] for code in MEANINGS)


def test_no_table_is_broken_by_a_cell(generated_pages: dict[str, str]) -> None:
    for name, page in generated_pages.items():
        for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
            rows = [len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()]
            assert len(set(rows)) == 1, (name, table.splitlines()[rows.index(max(rows))])


def test_the_editor_s_schema_is_named_at_the_top() -> None:
    for path in (ROOT / "params.yaml", *(ROOT / "recipes").glob("*.yaml")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        target = first.removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / target).resolve() == ROOT / "schemas" / "params.json"
