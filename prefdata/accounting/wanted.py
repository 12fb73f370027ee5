"""How many of the wanted pairs a run has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from prefdata.records import FilteredPair, Prompt
from prefdata.tables.catalog import Catalog
from prefdata.tables.read import is_finished, read_info


class WantedPairs(BaseModel):
    """The pairs that passed all filters, against the number that generate's settings ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: int
    wanted: int
    prompts_short: dict[str, int] = {}
    """Prompts that are short of pairs, by reason."""
    topped_up: int = 0
    """Prompts that get more samples in the next round."""
    samples: int = 0
    """The number of these samples, over all prompts."""

    def describe(self) -> str:
        """The counts as one line of text."""
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
    """Count the pairs that passed all filters, and those that generate's settings ask for.

    Args:
        catalog: Where the tables lie.
        target_pairs: generate.target_pairs.
        accepted_per_prompt: generate.accepted_per_prompt.
    """
    pairs = read_info(catalog.table("filtered", FilteredPair)).rows_out
    prompts = read_info(catalog.table("prompts", Prompt)).rows
    wanted = target_pairs or (accepted_per_prompt or 1) * prompts
    dropped = catalog.dropped("top-up")
    short = read_info(dropped).dropped if is_finished(dropped) else {}
    return WantedPairs(pairs=pairs, wanted=wanted, prompts_short=short)
