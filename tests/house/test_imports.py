"""The import rule: imports run one way, and importing prefdata pulls in nothing heavy."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

# From the lowest to the highest: a package imports itself and what stands on a line above it.
# Packages of one line never import one another; stage packages meet in records.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("records",),
    ("files", "text", "statistics", "hashing", "comparisons", "messages"),
    ("tables", "engines.base"),
    ("parts",),
    ("inference",),
    ("ches", "accounting", "reward_head", "engines.config", "asking"),
    (
        "engines", "sources", "judges", "consensus", "pairs", "augment", "filters", "dataset",
        "audit", "review", "training", "revisions", "consumers", "probe",
    ),
    ("config", "lineage", "checks"),
    ("reports",),
    ("pipelines",),
    ("cli", "api"),
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ("torch", "vllm", "apache_beam", "transformers", "sentence_transformers", "sklearn")
MAX_LINES = 300
MAX_FILES = 14
"""In a folder whose files are not all kinds."""


def package_of(module: str) -> str:
    """`prefdata.engines.base` -> engines.base, `prefdata.judges.base` -> judges."""
    rest = module.split(".")[1:]
    named = ".".join(rest[:2])
    if named in LEVEL:
        return named
    return rest[0] if rest else ""


@cache
def parse(path: Path) -> ast.Module:
    """The file's syntax tree. Python 3.11's parser fails where the collector runs within it."""
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def list_imports(path: Path) -> Iterator[str]:
    """The modules that the file names in import statements, late ones too."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def list_sources(root: Path) -> list[Path]:
    # The symbolic link prefdata/pipelines is not followed.
    return sorted([*(root / "prefdata").rglob("*.py"), *(root / "pipelines").rglob("*.py")])


def module_of(path: Path, root: Path) -> str:
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    return f"prefdata.{name}" if name.startswith("pipelines") else name


def test_every_package_has_its_layer(root: Path) -> None:
    packages = {package_of(module_of(path, root)) for path in list_sources(root)}
    assert packages - {""} == set(LEVEL)


def test_imports_run_one_way(root: Path) -> None:
    wrong = []
    for path in list_sources(root):
        module = module_of(path, root)
        own = package_of(module)
        for name in list_imports(path):
            assert name.split(".")[0] != "pipelines", f"{path}: import prefdata.pipelines"
            if name.split(".")[0] != "prefdata" or own == "":
                continue
            used = package_of(name)
            if used in ("", "__version__", own):
                continue
            if LEVEL[used] >= LEVEL[own]:
                wrong.append(f"{module} imports {name}")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_only_pipelines_import_beam(root: Path) -> None:
    wrong = [
        str(path)
        for path in sorted((root / "prefdata").rglob("*.py"))
        if path.parts[-2] != "cli" and any(n.startswith("apache_beam") for n in list_imports(path))
    ]
    assert not wrong


@pytest.mark.parametrize(
    "module",
    [
        "prefdata",
        "prefdata.cli.app",
        "prefdata.records",
        "prefdata.config.params",
        "prefdata.pipelines.stages.registry",
        # What worker processes apply: each of them would load Beam.
        "prefdata.pipelines.beam.exchange",
        "prefdata.pipelines.beam.filter_step",
        "prefdata.pipelines.workers.process",
    ],
)
def test_importing_pulls_in_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_grab_bags_and_no_long_files(root: Path) -> None:
    names = {path.stem for path in list_sources(root)}
    names |= {path.parent.name for path in list_sources(root)}
    assert not names & {"utils", "util", "common", "helpers", "misc", "shared", "core"}
    long = {
        str(path.relative_to(root)): lines
        for path in list_sources(root)
        if (lines := path.read_text().count("\n")) > MAX_LINES
    }
    others = [*(root / "tests").rglob("*.py"), *(root / "demo").rglob("*.py")]
    long |= {str(p): n for p in others if (n := p.read_text().count("\n")) > MAX_LINES + 50}
    assert not long


def test_no_crowded_folders(root: Path) -> None:
    """Where many files are in one folder they are parts of one kind, each named as its kind."""
    from prefdata.consensus.registry import CONSENSUSES
    from prefdata.consumers.registry import CONSUMERS
    from prefdata.dataset.exports.registry import EXPORTS
    from prefdata.filters.registry import FILTERS
    from prefdata.judges.registry import JUDGES

    kinds = {*JUDGES.parts, *CONSENSUSES.parts, *FILTERS.parts, *EXPORTS.parts, *CONSUMERS.parts}
    crowded = {}
    for folder in {path.parent for path in list_sources(root)}:
        others = [f for f in folder.glob("*.py") if f.stem not in kinds and f.stem != "__init__"]
        if len(others) > MAX_FILES:
            crowded[str(folder)] = len(others)
    assert not crowded


def test_every_module_and_public_name_says_what_it_is(root: Path) -> None:
    silent = []
    for path in list_sources(root):
        tree = parse(path)
        doc = ast.get_docstring(tree)
        if not doc or "See the module" in path.read_text():
            silent.append(str(path.relative_to(root)))
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
            config = isinstance(node, ast.ClassDef) and node.name.endswith(("Config", "Params"))
            marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", ())]
            if public and not config and "overload" not in marks and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(root)}: {node.name}")
    assert not silent


def test_functions_are_verbs_and_words_are_the_vocabularys(root: Path) -> None:
    """Participles and adverbs as names of functions, and words that others have replaced."""
    dialect = {
        "said", "shown", "kept", "known", "found", "held", "taught", "turned", "weighed", "gone",
        "same", "then", "over", "way", "here", "most", "named", "made", "given", "asked", "judged",
    }  # fmt: skip
    wrong = []
    for path in list_sources(root):
        text = path.read_text()
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef) and node.name.lstrip("_") in dialect:
                wrong.append(f"{path.relative_to(root)}: def {node.name}")
        lowered = text.lower()
        wrong += [
            f"{path.relative_to(root)}: {word}"
            for word in ("rejection", "opinion", "todo", "fixme")
            if word in lowered
        ]
    assert not wrong, "\n".join(wrong)
