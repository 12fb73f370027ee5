"""A model's files: how they are loaded, which are refused, and what is read without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from prefdata.engines.config import LocalConfig, ModelConfig
from prefdata.errors import ModelError

CONVERT = (
    "Unpickling can run whatever code a file holds, so only safetensors are loaded. If you trust "
    "the file, convert it: load the model with transformers and call its save_pretrained."
)
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")


def name_source(config: LocalConfig) -> dict[str, Any]:
    """The arguments of every `from_pretrained` beside the model itself."""
    return {"revision": config.revision, "trust_remote_code": config.trust_remote_code}


def find_remedy(name: str, error: Exception, otherwise: str) -> str:
    """What to do about a model that could not be loaded."""
    said = str(error)
    if "trust_remote_code" in said:
        return (
            "It comes with Python files of its own, which are not run. Read them, and if you trust "
            f"them set models.{name}.trust_remote_code: true and pin `revision`."
        )
    return CONVERT if ".safetensors" in said and "no file named" in said else otherwise


def check_weights(name: str, folder: Path) -> None:
    """Check that a local model has no weights that are pickles alone. Raises ModelError."""
    found = [f for f in folder.iterdir() if f.suffix in _PICKLED]
    # The layers of sentence-transformers have folders of their own.
    found += folder.glob("*/pytorch_model*.bin")
    refused = [f for f in sorted(found) if not any(f.parent.glob("*.safetensors"))]
    if refused:
        file = refused[0].relative_to(folder)
        raise ModelError(f"models.{name}: {folder} has weights in a pickle: {file}", CONVERT)


def read_template(config: ModelConfig) -> str:
    """A model's chat templates as they are in its files; empty if it has none."""
    found = []
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        file = find_file(config, name)
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


def find_file(config: ModelConfig, name: str) -> Path | None:
    """One of the model's files, from its folder or the hub; None if it has no such file."""
    folder = Path(config.model)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(config.model, name, revision=config.revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError):
        return None
