"""The page of params.yaml: its sections, and every setting that is no part's."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from prefdata.reports.reference.settings import Setting, settings_of
from reference.markdown import paragraph, settings_table
from reference.parts import link_part

_INTRODUCTION = """\
# params.yaml

One file describes a run. An unknown setting is an error that lists the valid ones; everything that
can be checked is checked before any work starts. `--set section.key=value` overrides a setting for
one command, items of a list by number: `--set filter.filters.2.max_quantile=0.5`.

For completion and checks in an editor, begin the file with
`# yaml-language-server: $schema=schemas/params.json`, the path to that file of the repository.

"""


def params_page() -> str:
    """The top level, then a section for each nested model, in order."""
    from prefdata.config.params import Params

    return _INTRODUCTION + _describe(Params, "", 2)


def _describe(model: type[BaseModel], path: str, level: int) -> str:
    settings = settings_of(model, link_part)
    linked = [
        replace(s, type=s.type.replace("mapping", f"[mapping](#{_anchor(path, s)})"))
        if s.nested
        else s
        for s in settings
    ]
    text = settings_table(linked) + "\n"
    for setting in settings:
        place = f"{path}.{setting.name}".lstrip(".")
        for n, nested in enumerate(setting.nested):
            if n == 0:
                text += f"({_anchor(path, setting)})=\n{'#' * level} {place}\n\n"
            if nested.__doc__ and nested.__doc__ != nested.__base__.__doc__:
                text += f"{paragraph(nested.__doc__)}\n\n"
            text += _describe(nested, place, min(level + 1, 4))
    return text


def _anchor(path: str, setting: Setting) -> str:
    return f"params.{path}.{setting.name}".replace("..", ".").replace(".", "-").replace("_", "-")
