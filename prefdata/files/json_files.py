"""Files that hold one pydantic model as JSON."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from prefdata.errors import TableError
from prefdata.files import storage

Model = TypeVar("Model", bound=BaseModel)


def read_model(model: type[Model], path: str, writer: str, remedy: str) -> Model | None:
    """What the file holds; None where there is no file.

    Args:
        model: What it should hold.
        path: The file's path or URL.
        writer: The command that writes such files, for the error.
        remedy: What to do about a file that holds something else.

    Raises:
        TableError: It holds something else.
    """
    content = storage.read_bytes(path)
    if content is None:
        return None
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = f"{place}: {first['msg']}" if place else first["msg"]
        raise TableError(f"{path}: not what `{writer}` writes: {said}", remedy) from None


def write_model(path: str, value: BaseModel) -> None:
    """Write the model as the file's content, with a line for each value."""
    storage.write_bytes(path, value.model_dump_json(indent=1).encode() + b"\n")
