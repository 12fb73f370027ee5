"""What was published: every file of it, in publication.json beside them.

It tells the next publication what to take away, a reader what to verify, and whether somebody has
edited the card since.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, ValidationError

from prefdata.dataset.manifest import Entry, FileEntry
from prefdata.errors import TableError

PUBLICATION = "publication.json"
RECORD, PARQUET, FIGURES = "record", "parquet", "figures"
"""The folders that a publication adds to those of the version: the tables of the run, JSONL exports
as Parquet, the pictures of the card."""
FOLDERS = (RECORD, PARQUET, FIGURES)


class Publication(Entry):
    """A version as it was published. Equal publications have equal ones."""

    content_version: str = Field(description="That of the version.")
    version: str = Field(description="The version's name, which is its tag.")
    prefdata_version: str = Field(description="That of the prefdata that published it.")
    tables: dict[str, int] = Field(
        description="The tables of the record, each with its number of rows, such as "
        "dropped/filter; empty: published without a record."
    )
    files: list[FileEntry] = Field(description="All files but this one, by path.")

    def find_digest(self, path: str) -> str | None:
        """The SHA-256 of a file; None where it is not among them."""
        return next((file.sha256 for file in self.files if file.path == path), None)

    def list_record(self) -> Iterator[FileEntry]:
        """The files of the record."""
        return (file for file in self.files if file.path.startswith(f"{RECORD}/"))

    def encode(self) -> bytes:
        """The content of publication.json."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def parse_publication(content: bytes, where: str) -> Publication:
    """The publication of this content. Raises TableError where it is none."""
    try:
        return Publication.model_validate_json(content)
    except ValidationError as error:
        raise TableError(
            f"{where}: not what this version of prefdata publishes: {error}",
            "Read it with the version that published it.",
        ) from error
