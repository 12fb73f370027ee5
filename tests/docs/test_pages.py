"""README and the pages that name parts of the code are held to it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from blocks import BLOCKS, DOCS, ROOT, get_block, read_params
from house.test_imports import LAYERS

from prefdata.config import load_params
from prefdata.consensus.registry import CONSENSUSES
from prefdata.dataset.exports.registry import EXPORTS
from prefdata.engines.registry import ENGINES
from prefdata.filters.registry import FILTERS
from prefdata.judges.registry import build_panel
from prefdata.pairs.registry import STRATEGIES
from prefdata.pipelines.stages.registry import STAGES
from prefdata.tables.catalog import TABLES

README = (ROOT / "README.md").read_text(encoding="utf-8")


def read_page(name: str) -> str:
    """A page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def first_column(text: str, head: str) -> list[str]:
    """The cells of the first column of the table whose first column is called `head`."""
    table = re.search(rf"^\| {head} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.M)
    assert table is not None, head
    return [line.split("|")[1].strip() for line in table[1].splitlines()]


def test_the_readme_is_one_page() -> None:
    assert len(README.splitlines()) <= 150
    first = README.split("\n\n")[1]
    assert len(re.findall(r"\.(?:\s|$)", first)) == 2
    assert "make demo" in README.split("\n\n")[2]
    assert "make test" in README.split("\n\n")[2]


def test_the_readme_leads_to_every_part_of_the_docs() -> None:
    linked = set(re.findall(r"\]\(docs/([^)#]+)", README))
    how_to = {f"how-to/{p.name}" for p in (DOCS / "how-to").glob("*.md")} - {"how-to/index.md"}
    wanted = {"how-to/parts/index.md", "how-to/troubleshooting.md", "reference/index.md"}
    assert wanted <= linked
    assert len(linked & how_to) > len(how_to) / 2


def test_the_tutorial_prints_what_the_readme_prints() -> None:
    printed = re.search(r"<!-- demo output -->\n```text\n(.*?)```", README, re.S)
    stages = re.search(r"```text\n(stage .*?)```", read_page("tutorial/first_dataset.md"), re.S)
    assert printed is not None
    assert stages is not None
    assert printed[1].startswith(stages[1])


def test_every_extra_has_its_row() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [cell.strip("`") for cell in first_column(read_page("how-to/install.md"), "extra")]
    assert sorted(listed) == sorted(project["optional-dependencies"])


def test_your_own_model_takes_ten_lines() -> None:
    block = get_block("params", "readme.yaml")
    assert block.paper == ROOT / "README.md"
    assert len(block.text.splitlines()) <= 10


def test_every_path_of_the_layout_exists() -> None:
    named = [
        path
        for cell in first_column(read_page("explanation/design.md"), "path")
        for path in re.findall(r"`(.+?)`", cell)
    ]
    assert len(named) > 15
    assert [path for path in named if not (ROOT / path).exists()] == []
    packages = sorted(f.parent.name for f in ROOT.glob("prefdata/*/__init__.py"))
    own = [p for p in packages if p != "pipelines"]
    assert [p for p in own if f"prefdata/{p}/" not in named] == []


def test_the_import_rule_is_the_one_that_is_tested() -> None:
    rule = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("**Imports run")[2]
    lines = re.findall(r"^\d+\. (.+)$", rule.partition("\n**")[0], re.M)
    stated = [set(re.findall(r"`([\w.]+)`", line)) for line in lines]
    assert stated[::-1] == [set(names) for names in LAYERS]


def test_every_benchmark_it_names_exists() -> None:
    named = re.findall(r"python (benchmarks/\S+\.py)", read_page("explanation/measurements.md"))
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_stage_has_its_row() -> None:
    listed = [cell.strip("`") for cell in first_column(read_page("explanation/flow.md"), "stage")]
    assert listed == [stage.name for stage in STAGES]


def test_every_table_has_its_row() -> None:
    cells = first_column(read_page("reference/files.md"), "path")
    assert {f"{name}/" for name in TABLES} <= set(re.findall(r"`(.+?)`", " ".join(cells)))


def test_the_worked_example_is_a_valid_configuration(tmp_path: Path) -> None:
    block = get_block("params", "mine.yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(block.text, encoding="utf-8")
    overrides = re.findall(r"--set (\S+)", block.paper.read_text(encoding="utf-8"))
    params = load_params(path, overrides)
    assert params.generate.n == 16
    assert [judge.kind for judge in build_panel(params.judge.judges)] == [
        "pairwise",
        "implicit_reward",
    ]
    CONSENSUSES.build(params.consensus)
    STRATEGIES.build(params.pair.strategy)
    EXPORTS.build_all(params.export.formats, "export.formats")
    ches = FILTERS.build_all(params.filter.filters, "filter.filters")[2]
    assert ches.config.model_dump()["max_quantile"] == 0.5


def test_the_wanted_pairs_and_the_prices_are_read() -> None:
    params = read_params(get_block("params", "wanted"))
    assert (params.generate.target_pairs, params.generate.max_samples()) == (5000, 16)
    assert read_params(get_block("params", "prices")).models["policy"].prices is not None


def test_the_served_model_gives_loglikelihoods() -> None:
    params = read_params(get_block("params", "server"))
    assert ENGINES.load("policy", params.models["policy"]).refusal("loglikelihood") is None


def test_the_vllm_example_says_what_the_engine_takes() -> None:
    from prefdata.engines.vllm.config import VllmOptions

    models = read_params(get_block("params", "vllm.yaml")).models
    recipe = load_params(ROOT / "recipes" / "vllm.yaml")
    for name in recipe.models:
        for params in (models[name], recipe.models[name]):
            assert isinstance(params.options, VllmOptions)
    named = re.findall(r"`(\w+)`", read_page("how-to/vllm.md"))
    assert set(VllmOptions.model_fields) <= {*named, "runner"}


@pytest.mark.parametrize("name", ["filter_existing", "relabel"])
def test_a_dataset_becomes_a_source(name: str) -> None:
    params = read_params(get_block("params", name))
    assert params.judge.judges[0].kind == "human"


def test_every_python_block_is_executed() -> None:
    executed = "".join(
        (ROOT / "tests" / "docs" / name).read_text(encoding="utf-8")
        for name in ("test_examples.py", "test_parts.py")
    )
    names = [b.name for b in BLOCKS if b.language == "python" and "parts" not in b.paper.parts]
    assert [name for name in names if f'"{name}"' not in executed] == []
