"""`list` and `describe`: every kind and setting; a wrong name is met by the one that was meant."""

from __future__ import annotations

import json

import jsonschema
import pytest

from prefdata.dataset.exports.registry import EXPORTS
from prefdata.errors import ConfigError
from prefdata.filters.registry import FILTERS
from prefdata.parts.registry import Registry
from prefdata.reports.base import Grid
from prefdata.reports.reference import kinds
from prefdata.reports.reference.packages import PACKAGES, Package


def rows_of(report: kinds.Description | kinds.Kinds) -> dict[str, tuple[str, ...]]:
    """The rows of its last table by their first cells."""
    grid = [block for block in report.blocks() if isinstance(block, Grid)][-1]
    return {row[0]: tuple(row[1:]) for row in grid.rows}


def test_every_kind_is_listed_once_and_can_be_described() -> None:
    listed = kinds.list_kinds()
    assert list(listed.packages) == [package.name for package in PACKAGES]
    for package in PACKAGES:
        assert list(listed.packages[package.name].kinds) == list(package.parts)
        assert all(kind.summary for kind in listed.packages[package.name].kinds.values())
        for kind in package.parts:
            described = kinds.describe(package.one, kind)
            schema = json.loads(described.to_json())
            jsonschema.Draft202012Validator.check_schema(schema)
            # The table names what the schema names, but for the kind itself.
            names = {name.split(".")[0] for name, *_ in described.settings}
            assert names == set(schema["properties"]) - {package.tag}
            assert all(row[3] for row in described.settings), kind
        assert list(rows_of(kinds.describe(package.one))) == list(package.parts)


def test_an_export_is_told_with_what_it_cannot_carry_and_why_it_cannot_be_read_back() -> None:
    for kind, part in EXPORTS.parts.items():
        text = str(kinds.describe("export", kind))
        assert text.count(f"What it can't carry: {part.cannot_carry}") == 1
        reason = f"Its rows can't be read back: {part.one_way}"
        assert text.count(reason) == (part.one_way is not None)


def test_a_kind_is_told_with_its_settings_and_an_example() -> None:
    described = kinds.describe("judges", "pointwise")
    assert "  prefdata check DATASET --for trl_dpo" in str(kinds.describe("consumer", "trl_dpo"))
    text = str(described)
    assert "judge pointwise (prefdata), in params.yaml: judge.judges" in text
    assert "  kind: pointwise\n  model: policy" in text
    rows = rows_of(described)
    assert rows["model"] == (
        "text",
        "required",
        "The judge model's name under models. Asks models again.",
    )
    # What it costs to change is told of settings inside others, too.
    assert rows["rubric.low"] == (
        "integer, at least 0, at most 8",
        "1",
        "The worst rating. Asks models again.",
    )
    assert rows["rating_temperature"][1:] == (
        "1.0",
        "The points of the scale that are worth one unit of log-odds.",
    )
    assert rows["rubric.criteria"][1] == "see below"
    assert "Default of rubric.criteria:\n  - It is correct." in text


def test_a_place_is_told_with_what_is_inside_it() -> None:
    rows = rows_of(kinds.describe("generate"))
    assert rows["generate.n"][:2] == ("integer, at least 0, at most 10,000", "4")
    one = kinds.describe("generate.n")
    assert [row[0] for row in one.settings] == ["generate.n"]
    assert json.loads(one.to_json())["maximum"] == 10_000
    assert json.loads(kinds.describe("judge").to_json())["required"] == ["judges"]


def test_a_section_that_names_kinds_lists_them() -> None:
    for what in ("filter", "strategies", "engine"):
        package = next(p for p in PACKAGES if what in (p.one, p.name))
        described = kinds.describe(what)
        assert list(rows_of(described)) == list(package.parts)
        assert f"prefdata describe {package.one} KIND" in str(described)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("judg",), "did you mean 'judge'?"),
        (("judge", "pointwize"), "did you mean 'pointwise'?"),
        (("generate.temprature",), "did you mean 'generate.temperature'?"),
        (("pairwse",), "did you mean 'pairwise'?"),
        (("pairwise",), "prefdata describe judge pairwise"),
        (("ches.modle",), "did you mean 'ches.model'?"),
        (("reward_model",), "describe engine reward_model or prefdata describe judge reward_model"),
        (("tea",), "sections: data, memo"),
    ],
)
def test_a_wrong_name_is_met_by_the_one_that_was_meant(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        kinds.describe(*words)
    assert said in str(raised.value)


def test_a_plugin_s_kind_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(FILTERS.base, FILTERS.packages, "prefdata.none")
    registry.__dict__["_sources"] = {"language": "my_parts 0.1"}
    registry.__dict__["_plugins"] = {}
    monkeypatch.setattr("prefdata.filters.registry.FILTERS", registry)
    package = Package("filters", "filter", "prefdata.filters.registry", "FILTERS", "filter.filters")
    monkeypatch.setattr(kinds, "PACKAGES", (package,))
    assert rows_of(kinds.list_kinds("filters"))["language"][0] == "my_parts 0.1"
    assert "filter language (my_parts 0.1)" in str(kinds.describe("filter", "language"))


def test_prose_fills_the_window_and_lists_keep_their_lines() -> None:
    assert kinds._unwrap("One\ntwo.") == "One two."
    assert kinds._unwrap("One:\n\n    {}") == "One:\n\n    {}"
