"""The file of a reward head."""

from __future__ import annotations

import orjson
from pydantic import ValidationError

from prefdata.errors import ModelError
from prefdata.files import storage
from prefdata.reward_head.head import FILE, RewardHead


def save_head(folder: str, head: RewardHead) -> None:
    """Write FOLDER/head.json."""
    content = orjson.dumps(head.model_dump(), option=orjson.OPT_INDENT_2)
    storage.write_bytes(storage.join(folder, FILE), content + b"\n")


def load_head(folder: str) -> RewardHead:
    """The head in the folder. Raises ModelError where there is none."""
    path = storage.join(folder, FILE)
    content = storage.read_bytes(path)
    if content is None:
        raise ModelError(f"{path}: no reward head here", "Train one: prefdata reward-head.")
    try:
        return RewardHead.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(f"{path}: not a reward head", "Train it again.") from error


def check_embedder(head: RewardHead, folder: str, embedder: str) -> None:
    """Raise ModelError where the head, which lies in the folder, was trained on the embeddings of
    another model than the one of this fingerprint."""
    if head.embedder != embedder:
        raise ModelError(
            f"{storage.join(folder, FILE)}: trained on the embeddings of another model "
            f"({head.embedder[:12]}, not {embedder[:12]})",
            "Train it again with this embedder: prefdata reward-head.",
        )
