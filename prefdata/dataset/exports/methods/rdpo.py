"""The form of RDPO and RORPO: preferences with rationales."""

from __future__ import annotations

from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.dataset.exports.base import Formatted, sort_out
from prefdata.dataset.exports.conversations import SIDES
from prefdata.dataset.exports.plain import PlainConfig, PlainPairs
from prefdata.records.base import Record

_COLUMNS = {"general": "rationale", "specific": "rationale_specific"}


class RationalePreference(Record):
    """One row for training on preferences with rationales."""

    sort_by: ClassVar[tuple[str, ...]] = ("prompt_id", "pair_id")

    prompt: str = Field(description="The user's turn.")
    chosen: str = Field(description="The better response.")
    rejected: str = Field(description="The worse response.")
    rationale: str = Field(description="Why the chosen response is better.")
    prompt_id: str = Field(description="Content id of the prompt; not read.")
    pair_id: str = Field(description="Content id of prompt, chosen and rejected; not read.")


class RdpoConfig(PlainConfig):
    kind: Literal["rdpo"] = "rdpo"
    rationale: Literal["general", "specific"] = Field(
        "general",
        description="Which rationale of the augmentation rationales to write. general: one that "
        "names qualities; specific: one that names what the responses say.",
    )


class Rdpo(PlainPairs):
    """Pairs of one turn with the rationale of the preference, for RDPO and RORPO.

    Data-Centric Human Preference Optimization with Rationales (Just et al., arXiv 2407.14477): the
    loss of DPO, or ORPO, plus that of the rationale, given the prompt and both responses. The
    columns are those that `get_orcarat` of the authors' `dataloader.py` reads.
    """

    config: RdpoConfig
    record = RationalePreference
    usage = 'dataset["train"]  # the columns that the code of RDPO and RORPO reads'
    one_turn = True
    system_turn = False
    cannot_carry = (
        "Conversations, system turns, tools and calls, labels, margins and judgments; thoughts "
        "only inline; of two rationales one."
    )

    def make_rows(self, pairs: pl.DataFrame) -> Formatted:
        rationale = pl.col(_COLUMNS[self.config.rationale])
        detail = f"The pair has no {self.config.rationale} rationale; see data/dropped/augment."
        pairs, dropped = sort_out(pairs, {"no_rationale": (rationale.is_null(), detail)})
        rows = pairs.select(
            "prompt_id", "pair_id", "split", *SIDES, prompt="question", rationale=rationale
        )
        return Formatted(rows, dropped)
