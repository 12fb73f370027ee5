"""The import rule: imports run one way, and importing prefdata pulls in nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# What a part may import, beside itself. Stage packages meet in records, never in each other.
BASE = {"errors", "records", "config"}
SHARED = BASE | {"tables", "inference", "engines.base"}
STAGE_PACKAGES = {
    "sources", "judges", "consensus", "pairs", "augment", "filters", "dataset", "audit",
}  # fmt: skip
ALLOWED = {
    "errors": set(),
    "records": {"errors"},
    "config": {"errors", "records"},
    "tables": BASE,
    "engines.base": BASE,
    "inference": BASE | {"tables", "engines.base"},
    **dict.fromkeys(STAGE_PACKAGES, SHARED),
    "engines": SHARED,
    "cli": SHARED | STAGE_PACKAGES | {"engines", "pipelines"},
    "pipelines": SHARED | STAGE_PACKAGES | {"engines", ""},
}
HEAVY = ("torch", "vllm", "apache_beam", "transformers", "sentence_transformers", "sklearn")


def part_of(module: str) -> str:
    """`prefdata.engines.base` -> engines.base, `prefdata.judges.asking.conversation` -> judges."""
    if module.split(".")[0] == "pipelines":
        return "pipelines"
    rest = module.split(".")[1:]
    if rest[:2] == ["engines", "base"]:
        return "engines.base"
    return rest[0] if rest else ""


def imports(path: Path) -> Iterator[str]:
    """The modules that the file names in import statements, late ones too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(root: Path) -> list[Path]:
    return sorted([*(root / "prefdata").rglob("*.py"), *(root / "pipelines").rglob("*.py")])


def test_imports_run_one_way(root: Path) -> None:
    wrong = []
    for path in sources(root):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        part = part_of(module.removesuffix(".__init__"))
        for name in imports(path):
            if name.split(".")[0] not in ("prefdata", "pipelines"):
                continue
            used = part_of(name)
            if used in ("", "__version__") or used == part:
                continue
            if used not in ALLOWED.get(part, set()):
                wrong.append(f"{module} imports {name}")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_only_pipelines_import_beam(root: Path) -> None:
    wrong = [
        str(path)
        for path in sorted((root / "prefdata").rglob("*.py"))
        if path.name != "cli.py" and any(n.startswith("apache_beam") for n in imports(path))
    ]
    assert not wrong


@pytest.mark.parametrize(
    "module", ["prefdata", "prefdata.cli.app", "prefdata.records", "prefdata.judges.registry"]
)
def test_importing_pulls_in_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_grab_bags_and_no_long_files(root: Path) -> None:
    names = {path.stem for path in sources(root)}
    assert not names & {"utils", "util", "common", "helpers", "misc"}
    everything = [*sources(root), *(root / "tests").rglob("*.py"), *(root / "demo").rglob("*.py")]
    long = {
        str(path.relative_to(root)): lines
        for path in everything
        if (lines := path.read_text().count("\n")) > 350
    }
    assert not long


def test_every_module_and_public_name_says_what_it_is(root: Path) -> None:
    silent = []
    for path in sources(root):
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            silent.append(str(path.relative_to(root)))
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
            config = isinstance(node, ast.ClassDef) and node.name.endswith(("Config", "Params"))
            if public and not config and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(root)}: {node.name}")
    assert not silent
