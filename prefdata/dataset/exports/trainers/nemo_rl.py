"""The form of NeMo-RL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict, Field

from prefdata.dataset.exports.base import Formatted
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs, list_turns, make_response
from prefdata.records.base import Record
from prefdata.records.preference import Turn


class RankedCompletion(BaseModel):
    """A response with its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(description="0: the better response; 1: the worse one.")
    completion: list[Turn]


class NemoRlPreference(Record):
    """One row for NeMo-RL's DPO and reward modelling."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    context: list[Turn] = Field(description="The prompt's turns.")
    completions: list[RankedCompletion] = Field(description="The better response, then the worse.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class NemoRlConfig(PlainConfig):
    kind: Literal["nemo_rl"] = "nemo_rl"


class NemoRl(PlainPairs):
    """Pairs for NeMo-RL's `run_dpo.py` and `run_rm.py`, with the section `data` of their
    configuration.

    The rules are those of `PreferenceDataset` and of `preference_preprocessor` in
    `nemo_rl/data/processors.py` (main, 2026-08-22): exactly two completions, the lower rank is the
    better one, and equal ranks are an error.
    """

    config: NemoRlConfig
    record = NemoRlPreference
    usage = (
        "cd {name} && uv run RL/examples/run_dpo.py --config config.yaml  # yours, and nemo_rl.yaml"
    )
    file_format = "jsonl"
    one_file = True
    cannot_carry = "Tools and calls, labels, margins and judgments; thoughts only inline."

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        completions = (
            pl.struct(
                pl.lit(rank, pl.Int64).alias("rank"),
                pl.concat_list(make_response(side)).alias("completion"),
            )
            for rank, side in enumerate(SIDES)
        )
        return Formatted(
            pairs.select(
                "prompt_id",
                "pair_id",
                "split",
                context=list_turns(),
                completions=pl.concat_list(*completions),
            )
        )

    def make_files(
        self, shards: Mapping[str, Sequence[str]], structured: bool
    ) -> Mapping[str, str]:
        names = {"train": "train", "test": "validation"}
        data = {
            names[split]: {"dataset_name": "PreferenceDataset", "data_path": file}
            for split, (file,) in shards.items()
        }
        return {"nemo_rl.yaml": yaml.safe_dump({"data": data}, sort_keys=False)}
