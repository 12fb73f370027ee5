"""A model's chat template, read without its weights."""

from __future__ import annotations

from pathlib import Path

import orjson

from prefdata.engines.config import ModelConfig


def read_template(config: ModelConfig) -> str:
    """A model's chat templates as they are in its files; empty if it has none."""
    found = []
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        file = _find_file(config, name)
        if file is None:
            continue
        content = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            # A template, or a list of named ones.
            template = orjson.loads(content).get("chat_template") or ""
            each = template if isinstance(template, list) else [{"template": template}]
            content = "\n".join(one["template"] for one in each)
        found.append(content)
    return "\n".join(found)


def _find_file(config: ModelConfig, name: str) -> Path | None:
    folder = Path(config.model)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(config.model, name, revision=config.revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError):
        return None
