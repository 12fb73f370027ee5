"""What identifies a model: the bytes of its files, or the commit of its hub repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from prefdata.engines.config import ModelParams
from prefdata.errors import ModelError

_PARTS = (".safetensors", ".json", ".jinja", ".txt", ".model", ".bin")


def model_fingerprint(name: str, params: ModelParams) -> str:
    """32 hex characters over engine, dtype and the model's files (its commit on the hub)."""
    state = hashlib.sha256(f"{params.engine}\0{params.dtype}\0".encode())
    folder = Path(params.model)
    if folder.is_dir():
        check_folder(name, folder)
        for digest in file_digests(folder):
            state.update(digest)
    else:
        state.update(f"{params.model}\0{_hub_commit(name, params)}".encode())
    return state.hexdigest()[:32]


def file_digests(folder: Path) -> Iterator[bytes]:
    """Name and digest of every file that is part of a model or adapter, in the names' order."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in _PARTS and file.is_file():
            with open(file, "rb") as content:
                digest = hashlib.file_digest(content, "sha256").digest()
            yield str(file.relative_to(folder)).encode() + b"\0" + digest


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder that holds no model, before anything is loaded."""
    if not (folder / "config.json").is_file():
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise ModelError(
            f"models.{name}.model: {folder} is not a model folder: no config.json (it holds: "
            f"{found})",
            "Name a folder that `save_pretrained` wrote, or a Hugging Face model id.",
        )


def _hub_commit(name: str, params: ModelParams) -> str:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        path = hf_hub_download(params.model, "config.json", revision=params.revision)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"models.{name}.model: {params.model!r} is no local folder and can't be had from the "
            f"Hugging Face hub: {str(error).strip().splitlines()[0] if str(error) else error!r}",
            "Check the name (folders are relative to where the command runs), the network, and "
            "HF_TOKEN for gated models.",
        ) from error
    return Path(path).parent.name
