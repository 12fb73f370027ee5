"""What identifies a model: the bytes of its files, or the commit of its hub repository."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import RootModel

from prefdata.engines.config import LocalConfig, ModelConfig
from prefdata.engines.model_files import check_weights
from prefdata.errors import ModelError
from prefdata.hashing.fingerprint import fingerprint
from prefdata.text.similar_names import suggest_name

_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model", ".bin")
_CODE = (".py",)


def fingerprint_model(name: str, config: LocalConfig) -> str:
    """A digest of the engine, the dtype and the model's files or its commit on the hub, as 32 hex
    characters. Raises ModelError if there is no such model."""
    state = hashlib.sha256(f"{config.engine}\0{config.dtype}\0".encode())
    folder = Path(config.model)
    if folder.is_dir():
        _check_folder(name, folder)
        trusted = _CODE if config.trust_remote_code else ()
        for digest in list_digests(folder, _SUFFIXES + trusted):
            state.update(digest)
    else:
        state.update(f"{config.model}\0{find_hub_commit(name, config)}".encode())
    if config.chat_template_kwargs:
        state.update(orjson.dumps(config.chat_template_kwargs, option=orjson.OPT_SORT_KEYS))
    if config.trust_remote_code:
        state.update(b"trust_remote_code")
    return state.hexdigest()[:32]


def fingerprint_settings(settings: ModelConfig, **replaced: Any) -> str:
    """A digest of a model's settings, for engines that have no files to go by.

    Settings that came after the first memos are left out where they change no response, so that the
    calls of these memos are not made again.

    Args:
        settings: What counts; the rest at its default.
        replaced: Settings of which other content counts, by name.
    """
    later = {"thoughts", "tool_calls", "license"}
    if not settings.chat_template_kwargs:
        later.add("chat_template_kwargs")
    content = settings.model_dump(mode="json", exclude=later)
    return fingerprint(RootModel[dict[str, Any]]({**content, **replaced}))


def list_digests(folder: Path, suffixes: Sequence[str] = _SUFFIXES) -> Iterator[bytes]:
    """The name and digest of every file of a model or adapter, in the order of the names."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in suffixes and file.is_file():
            with open(file, "rb") as content:
                digest = hashlib.file_digest(content, "sha256").digest()
            yield str(file.relative_to(folder)).encode() + b"\0" + digest


def _check_folder(name: str, folder: Path) -> None:
    """Check that a folder holds a model, before it is loaded. Raises ModelError."""
    if not (folder / "config.json").is_file():
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise ModelError(
            f"models.{name}.model: {folder} is not a model folder: no config.json (it holds: "
            f"{found})",
            "Name a folder that `save_pretrained` wrote, or a Hugging Face model id.",
        )
    check_weights(name, folder)


def _check_name(name: str, config: ModelConfig) -> None:
    """Check that a model that is no folder here can be meant for the hub, which is asked for half
    a minute where it can't be reached. Raises ModelError."""
    folder = Path(config.model)
    is_path = config.model.startswith((".", "/", "~")) or config.model.count("/") > 1
    if not is_path and (config.model.count("/") == 0 or not folder.parent.is_dir()):
        return
    if not is_path and _is_cached(config):
        return
    there = folder.parent.iterdir() if folder.parent.is_dir() else ()
    meant = suggest_name(str(folder), [str(each) for each in there if each.is_dir()])
    here = f"{folder.parent}/ is a folder here" if not is_path else "it is no name of the hub's"
    raise ModelError(
        f"models.{name}.model: there is no folder {config.model!r}{meant}, and {here}",
        "Name a folder that `save_pretrained` wrote, relative to where the command runs. A model "
        "of the hub whose name begins like a folder here is taken from the hub's cache: download "
        "it first.",
    )


def _is_cached(config: ModelConfig) -> bool:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(config.model, "config.json", revision=config.revision)
    return isinstance(cached, str)


def find_hub_commit(name: str, config: ModelConfig) -> str:
    """The commit of a model's repository on the hub. Raises ModelError if there is none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    _check_name(name, config)
    try:
        path = hf_hub_download(config.model, "config.json", revision=config.revision)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"models.{name}.model: {config.model!r} is no local folder and can't be "
            "fetched from the Hugging Face hub: "
            f"{str(error).strip().splitlines()[0] if str(error) else error!r}",
            "Check the name (folders are relative to where the command runs), the network, and "
            "HF_TOKEN for gated models.",
        ) from error
    return Path(path).parent.name
