"""The dataset card: README.md of a version and of the dataset's folder, as `load_dataset` and the
Hugging Face hub read it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import yaml

from prefdata.dataset.manifest import SHARDS, Manifest
from prefdata.dataset.pointer import KEY, VERSIONS


def render_card(manifest: Manifest, license: str, versions: Sequence[str] = ()) -> str:
    """The card of the version that the manifest describes.

    Args:
        manifest: The version's manifest.
        license: The licence, as the hub calls it.
        versions: For the card of the dataset's folder, which names the shards of the newest
            version: all that are kept, the newest first. None: the card of the version itself.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    folder = f"{VERSIONS}/{versions[0]}/" if versions else ""
    front = {
        "license": license,
        "task_categories": ["text-generation"],
        "tags": ["preference", "dpo", "trl", "prefdata"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": f"{folder}{SHARDS}/{split}-*.parquet"}
                    for split, rows in manifest.splits.items()
                    if rows
                ],
            }
        ],
        **({KEY: list(versions)} if versions else {}),
    }
    return environment.from_string(_template()).render(
        manifest=manifest, folder=folder, front=yaml.safe_dump(front, sort_keys=False)
    )


@cache
def _template() -> str:
    return (resources.files("prefdata.dataset") / "card.md.jinja").read_text(encoding="utf-8")
