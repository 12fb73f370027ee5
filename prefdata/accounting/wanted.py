"""How many pairs a run has of those that were asked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from prefdata.records import FilteredPair, Prompt
from prefdata.tables.catalog import Catalog
from prefdata.tables.read import is_finished, read_info


class WantedPairs(BaseModel):
    """The pairs there are after all filters, and those that generate's settings ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: int
    wanted: int
    prompts_short: dict[str, int] = {}
    """Prompts that are short of pairs, by reason."""
    topped_up: int = 0
    """Prompts that get more samples in the next round."""
    samples: int = 0
    """The samples that they get, all together."""

    def describe(self) -> str:
        """One line for people."""
        text = f"{self.pairs:,} of {self.wanted:,} wanted pairs"
        if self.prompts_short:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.prompts_short.items())
            count = sum(self.prompts_short.values())
            text += f"; {count:,} {'prompt' if count == 1 else 'prompts'} short ({reasons})"
        if self.topped_up:
            text += f"; {self.samples:,} more samples for {self.topped_up:,} of them"
        return text


def count_wanted(
    catalog: Catalog, target_pairs: int | None, accepted_per_prompt: int | None
) -> WantedPairs:
    """The pairs there are, and those wanted by generate's settings of these names."""
    pairs = read_info(catalog.table("filtered", FilteredPair)).rows_out
    prompts = read_info(catalog.table("prompts", Prompt)).rows
    wanted = target_pairs or (accepted_per_prompt or 1) * prompts
    dropped = catalog.dropped("top-up")
    short = read_info(dropped).dropped if is_finished(dropped) else {}
    return WantedPairs(pairs=pairs, wanted=wanted, prompts_short=short)
