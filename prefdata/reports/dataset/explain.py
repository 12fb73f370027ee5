"""The report of `prefdata explain`: what became of a prompt, from its source row to the dataset."""

from __future__ import annotations

from typing import Any

import polars as pl
from pydantic import Field

from prefdata.errors import ConfigError
from prefdata.lineage.find import find_prompts
from prefdata.lineage.story import Story, tell_fallen, tell_story
from prefdata.lineage.tables import Lineage, read_fallen, read_lineage
from prefdata.reports.base import Block, Figures, Grid, Report
from prefdata.reports.dataset.story import StoryTeller
from prefdata.text.transcript import describe_response, transcript

MOST = 20
"""The matches that are listed."""


class MatchFigures(Figures):
    """Something that was found."""

    prompt_id: str = Field(description="Empty: a row that never became a prompt.")
    origin: str = Field(description="Its source row, file:row.")
    found: str = Field(description="By what it was found.")
    id: str
    excerpt: str


class Explained(Report):
    """What was found; of one prompt, its whole story."""

    wanted: str
    matches: list[MatchFigures]
    story: Story | None = Field(description="Null: there are several matches.")
    pair_id: str | None = Field(description="The pair that is wanted; null: the prompt.")
    filters: list[str] = Field(description="The filters that pairs had to pass, in their order.")
    models: dict[str, str] = Field(description="The names of models, by fingerprint.")
    texts: dict[str, str] = Field(exclude=True)
    full: bool = Field(exclude=True)

    def blocks(self) -> list[Block]:
        """The story, or the matches."""
        if self.story:
            teller = StoryTeller(self.story, self.texts, self.models, self.filters, self.full)
            return list(teller.tell(self.pair_id))
        rows = [(each.id or each.origin, each.origin, each.excerpt) for each in self.matches]
        more = " or more" if len(self.matches) == MOST else ""
        line = f"{len(self.matches)}{more} match {self.wanted!r}: name one by its id."
        return [Grid(("id", "source row", "text"), rows), line]


def report_explained(data: str, wanted: str, *, full: bool = False) -> Explained:
    """Find what is wanted, and tell its story.

    Args:
        data: The run's data folder.
        wanted: An id, the beginning of one, a source row or a piece of text; see `find_prompts`.
        full: Whether long texts are shown whole.

    Raises:
        ConfigError: Nothing is found.
        TableError: A table is missing or damaged.
    """
    matches = find_prompts(data, wanted, MOST)
    if not matches:
        raise ConfigError(
            f"{wanted!r}: no prompt, pair or response of {data} has this id, and no prompt or "
            "source row this text",
            "Name a prompt, a pair or a response by its id or the beginning of it, a source row as "
            "file:row, or a piece of the prompt's text.",
        )
    common: dict[str, Any] = {
        "wanted": wanted,
        "matches": [MatchFigures(**vars(each)) for each in matches],
        "full": full,
    }
    if len(matches) > 1:
        return Explained(**common, story=None, pair_id=None, filters=[], models={}, texts={})
    (match,) = matches
    if not match.prompt_id:
        story = tell_fallen(read_fallen(data, match.origin))
        return Explained(**common, story=story, pair_id=None, filters=[], models={}, texts={})
    lineage = read_lineage(data, [match.prompt_id])
    return Explained(
        **common,
        story=tell_story(lineage, match.prompt_id),
        pair_id=match.id if match.found == "pair" else None,
        filters=_list_filters(lineage),
        models={
            model.fingerprint: model.model
            for made in lineage.chain.values()
            for model in made.models.values()
            if model.fingerprint
        },
        texts=_read_texts(lineage),
    )


def _list_filters(lineage: Lineage) -> list[str]:
    made = lineage.chain.get("filter")
    filters: Any = made.settings.get("filters", []) if made else []
    return [each["kind"] for each in filters]


def _read_texts(lineage: Lineage) -> dict[str, str]:
    """The texts of the prompts and responses, by their ids."""
    prompts = lineage.tables["prompts"].select("prompt_id", transcript(pl.col("messages")))
    text = describe_response(pl.col("text"), pl.col("tool_calls"))
    responses = lineage.tables["responses"].select("response_id", text)
    return dict([*prompts.iter_rows(), *responses.iter_rows()])
