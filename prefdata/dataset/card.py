"""The dataset card: README.md of the dataset's folder, as the Hugging Face hub reads it."""

from __future__ import annotations

from functools import cache
from importlib import resources

from prefdata.dataset.manifest import Manifest


def render_card(manifest: Manifest, license: str) -> str:
    """The card of the dataset that the manifest describes."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_template()).render(manifest=manifest, license=license)


@cache
def _template() -> str:
    return (resources.files("prefdata.dataset") / "card.md.jinja").read_text(encoding="utf-8")
