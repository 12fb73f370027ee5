"""A Sphinx extension: the reference pages that are made from the code, at every build.

`pages` holds their texts; it needs no Sphinx, so that the tests can read them without it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from prefdata.reports.reference.packages import PACKAGES
from reference.api import api_page
from reference.commands import commands_page
from reference.exits import exit_codes_page
from reference.params import params_page
from reference.parts import package_page
from reference.records import records_page

FOLDER = Path("reference", "generated")
"""Where the pages go, under docs/; git ignores it."""


def pages() -> dict[str, str]:
    """File name -> text in MyST Markdown."""
    made = {
        "params.md": params_page(),
        "commands.md": commands_page(),
        "records.md": records_page(),
        "exit_codes.md": exit_codes_page(),
        "api.md": api_page(),
    }
    return made | {f"{package.name}.md": package_page(package) for package in PACKAGES}


def write_pages(docs: Path) -> None:
    """Write all pages below `docs`; pages of an earlier build go."""
    folder = docs / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    return {"parallel_read_safe": True}
