"""Print the changelog's section of a release, whose tag is given: `release_notes.py v0.1.0`.

It fails where the tag is not that of the package's version, or the changelog has no such section.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def find_notes(tag: str, version: str, changelog: str) -> str:
    """The text of the section `## [VERSION]`. Raises ValueError."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, but pyproject.toml has version {version}")
    found = re.search(
        rf"^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog, re.M | re.S
    )
    if found is None or not found[1].strip():
        raise ValueError(f"CHANGELOG.md has no section ## [{version}], or an empty one")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        print(find_notes(sys.argv[1], project["version"], text), end="")
    except ValueError as error:
        sys.exit(str(error))
