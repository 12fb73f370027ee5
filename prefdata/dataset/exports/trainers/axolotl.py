"""The form of axolotl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import polars as pl
import yaml
from pydantic import Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, place_turns
from prefdata.records.base import Record
from prefdata.records.preference import Turn


class AxolotlPreference(Record):
    """One row for axolotl's DPO, IPO and SimPO."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    messages: list[Turn] = Field(description="The prompt's turns.")
    chosen: Turn = Field(description="The better response.")
    rejected: Turn = Field(description="The worse response.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class AxolotlConfig(PlainConfig):
    kind: Literal["axolotl"] = "axolotl"


class Axolotl(PlainPairs):
    """Pairs for axolotl (`rl: dpo`, `ipo` or `simpo`), by its type `chat_template.default`, with
    the YAML that goes into its configuration.

    The rules are those of `default` in `axolotl/prompt_strategies/dpo/chat_template.py` (0.21.0),
    which the other types lack: it holds conversations of any length, and renders them by the
    model's own template. It cuts white space off the end of a response.
    """

    config: AxolotlConfig
    record = AxolotlPreference
    usage = "cd {name} && axolotl train config.yaml  # config.yaml: your model, and axolotl.yaml"
    cannot_carry = (
        "Tools and calls, labels, margins and judgments; thoughts only inline; axolotl itself cuts "
        "white space off the end of a response."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        return Formatted(place_turns(pairs, "messages"))

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        return {"axolotl.yaml": describe_datasets(shards, {"rl": "dpo"}, "chat_template.default")}


def describe_datasets(
    shards: Mapping[str, Sequence[str]], settings: Mapping[str, Any], type_: Any
) -> str:
    """The part of axolotl's configuration that names the data, for a run in the export's folder.

    Args:
        shards: The splits that there are.
        settings: What kind of training it is.
        type_: The data's type, as axolotl calls it.
    """
    names = {"train": "datasets", "test": "test_datasets"}
    data = {
        key: [{"path": ".", "split": split, "type": type_}]
        for split, key in names.items()
        if split in shards
    }
    return yaml.safe_dump({**settings, **data}, sort_keys=False)
