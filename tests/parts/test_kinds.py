"""What must hold for every kind there is, and for those to come."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from parts.kinds import KINDS, REGISTRIES, change_setting, list_settings, read_example

SETTINGS = [(name, *each) for name in REGISTRIES for each in list_settings(name)]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_an_example_makes_a_part_and_says_what_it_is(name: str, kind: str) -> None:
    registry = REGISTRIES[name]
    part = registry.parse(read_example(name, kind))
    assert part.kind == part.config.kind == kind
    again = type(part.config).model_validate_json(part.config.model_dump_json())
    assert again == part.config
    assert inspect.getdoc(type(part)) not in (None, inspect.getdoc(registry.base))
    # A file that is named as its kind: a reader finds it without a search.
    assert Path(inspect.getfile(type(part))).stem == kind


@pytest.mark.parametrize(("name", "kind", "setting"), SETTINGS)
def test_every_setting_has_another_value_and_a_description(
    name: str, kind: str, setting: str
) -> None:
    registry = REGISTRIES[name]
    part = registry.parse(read_example(name, kind))
    changed = registry.parse(change_setting(part.config, setting))
    assert changed.config != part.config
    assert type(part.config).model_fields[setting].description, f"{kind}.{setting}"


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_what_asks_again_are_settings(name: str, kind: str) -> None:
    config = REGISTRIES[name].parts[kind].config_type
    assert config.asks_again <= set(config.model_fields)
